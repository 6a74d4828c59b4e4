package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"
)

// fieldManager is who the API server says has written.
const fieldManager = "kubectl-mesh-trace-e2e"

// Apply writes manifests, as [Cluster.TryApply] does, and ends the test where the API server refuses one.
func (c *Cluster) Apply(t testing.TB, manifests ...string) {
	t.Helper()
	if err := c.TryApply(t.Context(), manifests...); err != nil {
		t.Fatal(err)
	}
}

// TryApply writes manifests by server-side apply.
//
//  1. Namespaces first, and those that objects are in and no manifest has; then all others by name and namespace, so
//     that an object created in a later second than another also comes later by name.
//  2. Where a manifest has a status, it is written through the subresource, if the kind has one.
//
// The error is the API server's first refusal; what came before it stays.
func (c *Cluster) TryApply(ctx context.Context, manifests ...string) error {
	var objects []*unstructured.Unstructured
	for _, text := range manifests {
		more, err := Parse(text)
		if err != nil {
			return err
		}
		objects = append(objects, more...)
	}
	return c.ApplyObjects(ctx, objects)
}

// ApplyObjects is [Cluster.TryApply] for objects.
func (c *Cluster) ApplyObjects(ctx context.Context, objects []*unstructured.Unstructured) error {
	targets := make([]target, 0, len(objects))
	namespaces := map[string]bool{metav1.NamespaceDefault: true}
	for _, o := range objects {
		to, err := c.target(o)
		if err != nil {
			return err
		}
		targets = append(targets, to)
		if o.GetKind() == "Namespace" {
			namespaces[o.GetName()] = true
		}
	}
	for _, to := range slices.Clone(targets) {
		if ns := to.object.GetNamespace(); ns != "" && !namespaces[ns] {
			namespaces[ns] = true
			implied := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace"}}
			implied.SetName(ns)
			into, err := c.target(implied)
			if err != nil {
				return err
			}
			targets = append(targets, into)
		}
	}
	slices.SortStableFunc(targets, func(a, b target) int {
		return cmp.Or(cmp.Compare(a.rank(), b.rank()), cmp.Compare(a.object.GetName(), b.object.GetName()),
			cmp.Compare(a.object.GetNamespace(), b.object.GetNamespace()))
	})
	for _, to := range targets {
		if err := to.apply(ctx); err != nil {
			return fmt.Errorf("apply %s %s/%s: %w", to.object.GetKind(), to.object.GetNamespace(), to.object.GetName(), err)
		}
	}
	return nil
}

// Delete removes what manifests name; what is not there is no error.
func (c *Cluster) Delete(ctx context.Context, manifests ...string) error {
	for _, text := range manifests {
		objects, err := Parse(text)
		if err != nil {
			return err
		}
		for _, o := range objects {
			to, err := c.target(o)
			if err != nil {
				return err
			}
			now := int64(0)
			if err := to.resource.Delete(ctx, o.GetName(), metav1.DeleteOptions{GracePeriodSeconds: &now}); err != nil && !apierrors.IsNotFound(err) {
				return err
			}
		}
	}
	return nil
}

// target is an object and where it is written.
type target struct {
	object   *unstructured.Unstructured
	resource dynamic.ResourceInterface
}

func (c *Cluster) target(o *unstructured.Unstructured) (target, error) {
	gvk := o.GroupVersionKind()
	mapping, err := c.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if err != nil {
		return target{}, fmt.Errorf("%s %s: %w", o.GetKind(), o.GetName(), err)
	}
	o = o.DeepCopy()
	if mapping.Scope.Name() != meta.RESTScopeNameNamespace {
		o.SetNamespace("")
		return target{o, c.client.Resource(mapping.Resource)}, nil
	}
	if o.GetNamespace() == "" {
		o.SetNamespace(metav1.NamespaceDefault)
	}
	return target{o, c.client.Resource(mapping.Resource).Namespace(o.GetNamespace())}, nil
}

// rank is the order of step 1.
func (to target) rank() int {
	switch to.object.GetKind() {
	case "Namespace":
		return 0
	case "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration":
		return 2 // nobody answers for them here
	}
	return 1
}

func (to target) apply(ctx context.Context) error {
	options := metav1.ApplyOptions{FieldManager: fieldManager, Force: true}
	o := to.object.DeepCopy()
	status, has := o.Object["status"]
	delete(o.Object, "status")
	// An API server refuses what it alone writes.
	for _, field := range []string{"uid", "resourceVersion", "generation", "creationTimestamp", "managedFields"} {
		unstructured.RemoveNestedField(o.Object, "metadata", field)
	}
	if _, err := to.resource.Apply(ctx, o.GetName(), o, options); err != nil || !has {
		return err
	}
	o = &unstructured.Unstructured{Object: map[string]any{"status": status}}
	o.SetGroupVersionKind(to.object.GroupVersionKind())
	o.SetName(to.object.GetName())
	o.SetNamespace(to.object.GetNamespace())
	_, err := to.resource.ApplyStatus(ctx, o.GetName(), o, options)
	if apierrors.IsNotFound(err) {
		return nil // the kind has no such subresource
	}
	return err
}

// Parse reads the documents of a YAML or JSON text; a List is what is in it.
func Parse(text string) ([]*unstructured.Unstructured, error) {
	var out []*unstructured.Unstructured
	decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(text), 4096)
	for {
		var raw runtime.RawExtension
		if err := decoder.Decode(&raw); errors.Is(err, io.EOF) {
			return out, nil
		} else if err != nil {
			return nil, err
		}
		if len(raw.Raw) == 0 || string(raw.Raw) == "null" {
			continue
		}
		o := &unstructured.Unstructured{}
		if err := o.UnmarshalJSON(raw.Raw); err != nil {
			return nil, err
		}
		if !o.IsList() {
			out = append(out, o)
			continue
		}
		list, err := o.ToList()
		if err != nil {
			return nil, err
		}
		for i := range list.Items {
			out = append(out, &list.Items[i])
		}
	}
}

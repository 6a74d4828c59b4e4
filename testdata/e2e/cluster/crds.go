package cluster

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/restmapper"
)

// CRDs are definitions that a module ships.
type CRDs struct {
	// Module is a Go module; Files are patterns below its directory.
	Module string
	Files  []string
}

// Istio are the kinds of Istio.
func Istio() CRDs {
	return CRDs{Module: "istio.io/api", Files: []string{"kubernetes/customresourcedefinitions.gen.yaml"}}
}

// GatewayAPI are the kinds of the Gateway API in its experimental channel, which has all.
func GatewayAPI() CRDs {
	return CRDs{Module: "sigs.k8s.io/gateway-api", Files: []string{"config/crd/experimental/gateway.networking*.yaml"}}
}

// InferenceExtension are the kinds of the Gateway API inference extension.
func InferenceExtension() CRDs {
	return CRDs{Module: "sigs.k8s.io/gateway-api-inference-extension", Files: []string{"config/crd/bases/*.yaml"}}
}

// AllCRDs are those that a trace reads.
func AllCRDs() []CRDs { return []CRDs{Istio(), GatewayAPI(), InferenceExtension()} }

var crdResource = schema.GroupVersionResource{Group: apiextensions.GroupName, Version: "v1", Resource: "customresourcedefinitions"}

// Definitions reads the CRDs from the module cache.
func (d CRDs) Definitions() ([]*apiextensions.CustomResourceDefinition, error) {
	dir, err := moduleDir(d.Module)
	if err != nil {
		return nil, err
	}
	var out []*apiextensions.CustomResourceDefinition
	for _, pattern := range d.Files {
		files, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			return nil, err
		}
		if len(files) == 0 {
			return nil, fmt.Errorf("%s has no %s", d.Module, pattern)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				return nil, err
			}
			objects, err := Parse(string(text))
			if err != nil {
				return nil, fmt.Errorf("%s: %w", file, err)
			}
			for _, o := range objects {
				if o.GetKind() != "CustomResourceDefinition" {
					continue // a ValidatingAdmissionPolicy, which guards the definitions
				}
				crd := &apiextensions.CustomResourceDefinition{}
				if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, crd); err != nil {
					return nil, fmt.Errorf("%s: %w", file, err)
				}
				out = append(out, crd)
			}
		}
	}
	return out, nil
}

// install makes the clients, applies the definitions, and remembers what etcd then holds.
func (c *Cluster) install(sets []CRDs) error {
	var err error
	if c.client, err = dynamic.NewForConfig(c.Config); err != nil {
		return err
	}
	client, err := discovery.NewDiscoveryClientForConfig(c.Config)
	if err != nil {
		return err
	}
	c.discovery = memory.NewMemCacheClient(client)
	c.mapper = restmapper.NewDeferredDiscoveryRESTMapper(c.discovery)
	var crds []*apiextensions.CustomResourceDefinition
	for _, set := range sets {
		more, err := set.Definitions()
		if err != nil {
			return err
		}
		crds = append(crds, more...)
	}
	if err := c.InstallCRDs(crds...); err != nil {
		return err
	}
	return c.remember()
}

// InstallCRDs applies definitions, those of a test's own say, and waits until their kinds are served.
func (c *Cluster) InstallCRDs(crds ...*apiextensions.CustomResourceDefinition) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	for _, crd := range crds {
		object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(crd)
		if err != nil {
			return err
		}
		delete(object, "status")
		u := &unstructured.Unstructured{Object: object}
		u.SetGroupVersionKind(crdResource.GroupVersion().WithKind("CustomResourceDefinition"))
		if _, err := c.client.Resource(crdResource).Apply(ctx, u.GetName(), u, metav1.ApplyOptions{FieldManager: fieldManager, Force: true}); err != nil {
			return fmt.Errorf("apply %s: %w", u.GetName(), err)
		}
	}
	for _, crd := range crds {
		err := c.until(ctx, crd.Name+" to be served", func() error { return c.served(ctx, crd) })
		if err != nil {
			return err
		}
	}
	c.mapper.Reset()
	return nil
}

// Resource is the name by which roles and lists call a kind.
func (c *Cluster) Resource(kind schema.GroupKind) (string, error) {
	mapping, err := c.mapper.RESTMapping(kind)
	if err != nil {
		return "", err
	}
	return mapping.Resource.Resource, nil
}

// served is an error as long as a version that a definition has served can not be listed, or one that it has not served can.
func (c *Cluster) served(ctx context.Context, crd *apiextensions.CustomResourceDefinition) error {
	for _, v := range crd.Spec.Versions {
		resource := schema.GroupVersionResource{Group: crd.Spec.Group, Version: v.Name, Resource: crd.Spec.Names.Plural}
		if !v.Served {
			c.discovery.Invalidate()
			list, err := c.discovery.ServerResourcesForGroupVersion(resource.GroupVersion().String())
			switch {
			case apierrors.IsNotFound(err):
			case err != nil:
				return err
			case slices.ContainsFunc(list.APIResources, func(r metav1.APIResource) bool { return r.Name == resource.Resource }):
				return fmt.Errorf("discovery still has %s", resource)
			}
			continue
		}
		if _, err := c.client.Resource(resource).List(ctx, metav1.ListOptions{Limit: 1}); err != nil {
			return err
		}
		c.discovery.Invalidate()
		list, err := c.discovery.ServerResourcesForGroupVersion(resource.GroupVersion().String())
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(list.APIResources, func(r metav1.APIResource) bool { return r.Name == resource.Resource }) {
			return fmt.Errorf("discovery does not have %s", resource)
		}
	}
	return nil
}

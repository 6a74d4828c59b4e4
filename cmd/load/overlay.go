package load

import (
	"slices"
	"time"

	"go.yaml.in/yaml/v3"
	networking "istio.io/client-go/pkg/apis/networking/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// An overlay is what would be applied over a mesh.
//
//  1. An object stands in place of the one of its group, kind, namespace and name: the whole of it, as after kubectl
//     replace; no field of the one before is merged in.
//  2. What an API server and the controllers keep of an object stays: its age, the addresses and the node of a Pod, the
//     addresses of a Service and of a ServiceEntry, the health of a WorkloadEntry. Other status is written anew.
//  3. An object that is not there is added. It is younger than all that are.
//  4. A document with the annotation mesh-trace/delete: "true" takes the object away; nothing else of it is read.
//  5. The mesh config is replaced by a ConfigMap of the name of the one that is followed, or by any where none is.
//  6. Nothing is rolled out: in a cluster, the pods of a workload that is changed stay as they are. One that is added stands for
//     the pods that it would run, as one of manifests does; a Gateway that is added has no proxy yet. A note says so.

// DeleteAnnotation takes the object of an overlay away where its value is "true".
const DeleteAnnotation = "mesh-trace/delete"

// Overlay is what is laid over a mesh. It is immutable.
type Overlay struct {
	in resolve.Input
}

// ReadOverlay reads the manifests of an overlay; they are never deferred. The error is as that of [Manifests].
func ReadOverlay(opts ManifestOptions) (*Overlay, error) {
	opts.Defer, opts.Overlay = false, true
	in, err := Manifests(opts)
	if err != nil {
		return nil, err
	}
	return &Overlay{in: in}, nil
}

// isDeleted is rule 4.
func isDeleted(n *yaml.Node) bool {
	meta, _ := child(n, "metadata")
	annotations, _ := child(meta, "annotations")
	return textOf(annotations, DeleteAnnotation) == "true"
}

// deletion stands for an object that is taken away.
func deletion(h header) resolve.Object {
	return &metav1.PartialObjectMetadata{
		TypeMeta:   metav1.TypeMeta{APIVersion: h.apiVersion, Kind: h.kind},
		ObjectMeta: metav1.ObjectMeta{Namespace: h.namespace, Name: h.name, Annotations: map[string]string{DeleteAnnotation: "true"}},
	}
}

func deletes(r resolve.Sourced) bool {
	meta, ok := r.Object.(*metav1.PartialObjectMetadata)
	return ok && meta.Annotations[DeleteAnnotation] == "true"
}

// Over lays the overlay over a mesh. What base holds is not changed.
func (o *Overlay) Over(base resolve.Input) resolve.Input {
	l := laying{out: base, places: make(map[resolve.Ref]int, len(base.Resources)), running: newOverRunning(base.Deferred), gone: map[resolve.Ref]bool{}}
	l.out.Resources, l.out.Planned = slices.Clone(base.Resources), map[resolve.Ref]bool{}
	for i, r := range base.Resources {
		l.places[sourcedRef(r)] = i
		if age := r.Object.GetCreationTimestamp().Time; age.After(l.youngest) {
			l.youngest = age
		}
	}
	l.youngest = l.youngest.Add(time.Second)
	touched := map[resolve.Ref]bool{}
	for _, r := range o.in.Resources {
		touched[sourcedRef(r)] = true
		if d, ok := r.Object.(*appsv1.Deployment); ok && d.Labels["app"] == "istiod" {
			l.out.IstiodSets = nil
		}
		if deletes(r) {
			l.remove(r)
			continue
		}
		l.put(r)
	}
	l.out.Resources = slices.DeleteFunc(l.out.Resources, func(r resolve.Sourced) bool { return r.Object == nil })
	l.out.Gaps = slices.DeleteFunc(slices.Clone(base.Gaps), func(g resolve.Gap) bool {
		return g.Name != "" && touched[resolve.Ref{Group: g.GroupKind.Group, Kind: g.GroupKind.Kind, Namespace: g.Namespace, Name: g.Name}]
	})
	notes := slices.DeleteFunc(slices.Clone(base.Notes), func(n resolve.Note) bool { return touched[n.Ref.Object()] })
	l.out.Notes = slices.Concat(notes, o.in.Notes, l.notes)
	l.mesh(o.in)
	l.named()
	if l.running.touches() {
		l.out.Deferred = l.running
	}
	return l.out
}

// laying is one call of Over.
type laying struct {
	out      resolve.Input
	places   map[resolve.Ref]int
	running  *overRunning
	youngest time.Time
	// gone are Secrets and ConfigMaps of a cluster that are taken away.
	gone  map[resolve.Ref]bool
	notes []resolve.Note
}

func (l *laying) note(ref resolve.Ref, message string) {
	l.notes = append(l.notes, resolve.Note{Ref: ref, Message: message})
}

// remove is rule 4.
func (l *laying) remove(r resolve.Sourced) {
	ref := sourcedRef(r)
	i, found := l.places[ref]
	switch {
	case found:
		l.out.Resources[i].Object = nil
		delete(l.places, ref)
	case ref == l.out.MeshConfigRef.Object():
		l.out.MeshConfig, l.out.MeshConfigRef, l.out.MeshOrigin = nil, resolve.Ref{}, nil
		l.out.MeshNetworks, l.out.MeshNetworksRef, l.out.MeshNetworksOrigin = nil, resolve.Ref{}, nil
	case l.running.has(r.GroupKind, ref):
		l.running.remove(ref)
	case r.GroupKind == secretGroupKind && l.out.Secret != nil, r.GroupKind == configMapGroupKind && l.out.ConfigMap != nil:
		l.gone[ref] = true
	default:
		l.note(ref, "the overlay deletes it at "+r.Origin.Locate("")+", and it is not there")
		return
	}
	l.stays(r, "deleted: its pods")
}

// put is rules 1 to 3.
func (l *laying) put(r resolve.Sourced) {
	ref := sourcedRef(r)
	object, ok := r.Object.DeepCopyObject().(resolve.Object)
	if !ok {
		return // an Object's copy is one
	}
	r.Object = object
	i, found := l.places[ref]
	switch {
	case found:
		keepOwn(l.out.Resources[i].Object, object)
		l.out.Resources[i] = r
	case slices.Contains(resolve.RunningKinds, r.GroupKind) && l.out.Deferred != nil && ref.Cluster == "":
		object.SetCreationTimestamp(metav1.NewTime(l.youngest))
		l.running.put(ref, r)
		if l.out.Offline || !l.running.has(r.GroupKind, ref) {
			l.plan(ref)
			return
		}
		l.stays(r, "changed by the overlay: its pods")
	default:
		l.plan(ref)
		if r.GroupKind == kubeGatewayGroupKind && !l.out.Offline {
			l.note(ref, "added by the overlay: the proxy that istiod would deploy for it is not there")
		}
		object.SetCreationTimestamp(metav1.NewTime(l.youngest))
		l.places[ref] = len(l.out.Resources)
		l.out.Resources = append(l.out.Resources, r)
	}
}

// plan has a cluster's object that is yet to be taken as one of manifests.
func (l *laying) plan(ref resolve.Ref) {
	if !l.out.Offline {
		l.out.Planned[ref] = true
	}
}

// kubeGatewayGroupKind is the Gateway API's.
var kubeGatewayGroupKind = schema.GroupKind{Group: gatewayGroup, Kind: "Gateway"}

// stays is rule 6.
func (l *laying) stays(r resolve.Sourced, what string) {
	switch r.GroupKind.Group {
	case "apps", "batch":
		if !l.out.Offline {
			l.note(sourcedRef(r), what+" are those that the cluster has now; nothing is rolled out")
		}
	}
}

// mesh is rule 5.
func (l *laying) mesh(overlay resolve.Input) {
	switch ref := overlay.MeshConfigRef; {
	case ref.IsZero():
	case !l.out.MeshConfigRef.IsZero() && ref.Object() != l.out.MeshConfigRef.Object():
		l.note(ref, "not followed: the mesh config is that of "+l.out.MeshConfigRef.Object().String())
	default:
		l.out.MeshConfig, l.out.MeshConfigRef, l.out.MeshOrigin = overlay.MeshConfig, ref, overlay.MeshOrigin
		l.out.MeshNetworks, l.out.MeshNetworksRef, l.out.MeshNetworksOrigin = overlay.MeshNetworks, overlay.MeshNetworksRef, overlay.MeshNetworksOrigin
	}
}

// named has what is asked for by name answer without what is gone.
func (l *laying) named() {
	if len(l.gone) == 0 {
		return
	}
	gone, secret, configMap := l.gone, l.out.Secret, l.out.ConfigMap
	if secret != nil {
		l.out.Secret = func(namespace, name string) resolve.Secret {
			if gone[resolve.Ref{Kind: secretKind, Namespace: namespace, Name: name}] {
				return resolve.Secret{}
			}
			return secret(namespace, name)
		}
	}
	if configMap != nil {
		l.out.ConfigMap = func(namespace, name string) resolve.ConfigMap {
			if gone[resolve.Ref{Kind: configMapGroupKind.Kind, Namespace: namespace, Name: name}] {
				return resolve.ConfigMap{}
			}
			return configMap(namespace, name)
		}
	}
}

// keepOwn is rule 2.
func keepOwn(before, after resolve.Object) {
	after.SetCreationTimestamp(before.GetCreationTimestamp())
	after.SetUID(before.GetUID())
	switch after := after.(type) {
	case *corev1.Pod:
		if before, ok := before.(*corev1.Pod); ok {
			before.Status.DeepCopyInto(&after.Status)
			after.Spec.NodeName = before.Spec.NodeName
			after.OwnerReferences = before.OwnerReferences
		}
	case *corev1.Service:
		if before, ok := before.(*corev1.Service); ok && after.Spec.ClusterIP == "" && after.Spec.Type != corev1.ServiceTypeExternalName &&
			before.Spec.ClusterIP != corev1.ClusterIPNone {
			after.Spec.ClusterIP, after.Spec.ClusterIPs = before.Spec.ClusterIP, before.Spec.ClusterIPs
		}
	case *networking.ServiceEntry:
		if before, ok := before.(*networking.ServiceEntry); ok {
			before.Status.DeepCopyInto(&after.Status)
		}
	case *networking.WorkloadEntry:
		if before, ok := before.(*networking.WorkloadEntry); ok {
			before.Status.DeepCopyInto(&after.Status)
		}
	}
}

func sourcedRef(r resolve.Sourced) resolve.Ref {
	return resolve.Ref{Group: r.GroupKind.Group, Cluster: resolve.ClusterOf(r.Object), Kind: r.GroupKind.Kind, Namespace: r.Object.GetNamespace(), Name: r.Object.GetName()}
}

// overRunning is what runs in the mesh with an overlay over it. It implements [resolve.Deferred].
type overRunning struct {
	below resolve.Deferred
	over  map[resolve.Ref]resolve.Sourced
	order []resolve.Ref
	gone  map[resolve.Ref]bool
}

func newOverRunning(below resolve.Deferred) *overRunning {
	return &overRunning{below: below, over: map[resolve.Ref]resolve.Sourced{}, gone: map[resolve.Ref]bool{}}
}

func (o *overRunning) touches() bool { return len(o.over)+len(o.gone) > 0 }

// has reports whether the object runs below; a cluster is asked for the one list.
func (o *overRunning) has(kind schema.GroupKind, ref resolve.Ref) bool {
	if o.below == nil || !slices.Contains(resolve.RunningKinds, kind) {
		return false
	}
	return slices.ContainsFunc(o.below.In(ref.Namespace, []schema.GroupKind{kind})[0].Resources, func(r resolve.Sourced) bool { return sourcedRef(r) == ref })
}

func (o *overRunning) remove(ref resolve.Ref) { o.gone[ref] = true }

func (o *overRunning) put(ref resolve.Ref, r resolve.Sourced) {
	o.over[ref] = r
	o.order = append(o.order, ref)
}

// Namespaces are those below, and those of the overlay.
func (o *overRunning) Namespaces() []string {
	namespaces := slices.Clone(o.below.Namespaces())
	for _, ref := range o.order {
		namespaces = append(namespaces, ref.Namespace)
	}
	return namespaces
}

// In returns what runs in the namespace, each object as the overlay has it.
func (o *overRunning) In(namespace string, kinds []schema.GroupKind) []resolve.Listed {
	out := slices.Clone(o.below.In(namespace, kinds))
	for i, kind := range kinds {
		var list []resolve.Sourced
		met := map[resolve.Ref]bool{}
		for _, r := range out[i].Resources {
			ref := sourcedRef(r)
			changed, replaced := o.over[ref]
			switch {
			case o.gone[ref]:
			case replaced:
				met[ref] = true
				list = append(list, keeping(r, changed))
			default:
				list = append(list, r)
			}
		}
		for _, ref := range o.order {
			if ref.Namespace == namespace && o.over[ref].GroupKind == kind && !met[ref] {
				list = append(list, o.over[ref])
			}
		}
		out[i].Resources = list
	}
	return out
}

// keeping is the object of the overlay with what stays of the one before.
func keeping(before, over resolve.Sourced) resolve.Sourced {
	if object, ok := over.Object.DeepCopyObject().(resolve.Object); ok {
		keepOwn(before.Object, object)
		over.Object = object
	}
	return over
}

// Find returns where something may run below, and the overlay's own namespaces of the kind.
func (o *overRunning) Find(q resolve.Sought) ([]string, []resolve.Gap) {
	namespaces, gaps := o.below.Find(q)
	namespaces = slices.Clone(namespaces)
	for _, ref := range o.order {
		if o.over[ref].GroupKind == q.Kind {
			namespaces = append(namespaces, ref.Namespace)
		}
	}
	return namespaces, gaps
}

// Origin is that of the overlay, else that below.
func (o *overRunning) Origin(ref resolve.Ref) resolve.Origin {
	if r, ok := o.over[ref]; ok {
		return r.Origin
	}
	return o.below.Origin(ref)
}

// Err is that below.
func (o *overRunning) Err() error { return o.below.Err() }

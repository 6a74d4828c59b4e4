package apiserver

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// addNamespaces makes those that objects are in and no manifest has.
func (c *Cluster) addNamespaces() {
	added := map[string]bool{}
	add := func(name string) {
		if name == "" || c.namespaces[name] != nil || added[name] {
			return
		}
		added[name] = true
		c.Objects = append(c.Objects, &corev1.Namespace{
			TypeMeta:   metav1.TypeMeta{Kind: "Namespace", APIVersion: "v1"},
			ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelMetadataName: name}, CreationTimestamp: metav1.NewTime(created)},
		})
	}
	for _, o := range c.Objects {
		if m, ok := o.(metav1.Object); ok {
			add(m.GetNamespace())
		}
	}
	for _, cfg := range c.Configs {
		add(cfg.Namespace)
	}
}

// Namespaces are those of the cluster.
func (c *Cluster) Namespaces() []runtime.Object {
	var out []runtime.Object
	for _, o := range c.Objects {
		if ns, ok := o.(*corev1.Namespace); ok {
			out = append(out, ns)
		}
	}
	return out
}

package apiserver

import (
	"maps"
	"slices"
	"strings"

	networkingk8s "k8s.io/api/networking/v1"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"

	networking "istio.io/api/networking/v1alpha3"
	"istio.io/istio/pilot/pkg/credentials/kube"
)

// secrets adds the Secrets that a credentialName asks for and that the manifests have in no namespace: they are
// taken to be in that of each proxy; and what listeners and policies refer to. Those that the manifests have are given
// a certificate, and those that istiod's watch leaves out go: the fake API server does not select by field.
func (c *Cluster) secrets() error {
	watched, err := fields.ParseSelector(kube.SecretsFieldSelector)
	if err != nil {
		return err
	}
	given := map[string]bool{}
	for _, o := range c.Objects {
		if s, ok := o.(*corev1.Secret); ok {
			given[s.Name] = true
		}
	}
	if err := c.addCertificates(); err != nil {
		return err
	}
	var kept []runtime.Object
	for _, o := range c.Objects {
		s, ok := o.(*corev1.Secret)
		if !ok {
			kept = append(kept, o)
			continue
		}
		if watched.Matches(fields.Set{"type": string(s.Type)}) {
			if s, err = certified(s); err != nil {
				return err
			}
			kept = append(kept, s)
		}
	}
	c.Objects = kept
	namespaces := map[string]bool{}
	for _, p := range c.Pods {
		namespaces[p.Namespace] = true
	}
	made := map[string]bool{}
	for _, o := range c.Objects {
		if s, ok := o.(*corev1.Secret); ok {
			made[s.Namespace+"/"+s.Name] = true
		}
	}
	for _, name := range c.credentialNames() {
		namespace, name, fixed := strings.Cut(name, "/")
		if !fixed {
			name = namespace
		}
		if given[name] {
			continue
		}
		for _, in := range slices.Sorted(maps.Keys(namespaces)) {
			key := in + "/" + name
			if fixed && in != namespace || made[key] {
				continue
			}
			made[key] = true
			s, err := certified(&corev1.Secret{
				ObjectMeta: metav1.ObjectMeta{Namespace: in, Name: name, CreationTimestamp: metav1.NewTime(created)}, Type: corev1.SecretTypeTLS,
			})
			if err != nil {
				return err
			}
			c.Objects = append(c.Objects, s)
		}
	}
	return nil
}

// certified gives a Secret what istiod looks for in one.
func certified(s *corev1.Secret) (*corev1.Secret, error) {
	made, err := throwaway()
	if err != nil {
		return nil, err
	}
	s = s.DeepCopy()
	s.Data = map[string][]byte{"tls.crt": made.certificate, "tls.key": made.key, "ca.crt": made.certificate}
	return s, nil
}

// credentialNames are all that Gateways and DestinationRules name: NAME or NAMESPACE/NAME.
func (c *Cluster) credentialNames() []string {
	var out []string
	add := func(name string) {
		for _, scheme := range []string{"kubernetes://", "kubernetes-gateway://"} {
			name = strings.TrimPrefix(name, scheme)
		}
		if name != "" && !strings.Contains(name, "://") {
			out = append(out, name)
		}
	}
	for _, o := range c.Objects {
		if x, ok := o.(*networkingk8s.Ingress); ok {
			for _, tls := range x.Spec.TLS {
				add(tls.SecretName)
			}
		}
	}
	for _, cfg := range c.Configs {
		switch spec := cfg.Spec.(type) {
		case *networking.Gateway:
			for _, s := range spec.GetServers() {
				add(s.GetTls().GetCredentialName())
				for _, name := range s.GetTls().GetCredentialNames() {
					add(name)
				}
			}
		case *networking.DestinationRule:
			policies := []*networking.TrafficPolicy{spec.GetTrafficPolicy()}
			for _, s := range spec.GetSubsets() {
				policies = append(policies, s.GetTrafficPolicy())
			}
			for _, p := range policies {
				add(p.GetTls().GetCredentialName())
				for _, port := range p.GetPortLevelSettings() {
					add(port.GetTls().GetCredentialName())
				}
			}
		}
	}
	return out
}

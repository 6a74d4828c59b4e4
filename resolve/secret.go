package resolve

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// Secret is all that may be known of a Secret: never its data.
//
//  1. What was handed over with the resources counts.
//  2. Else a cluster is asked for that one Secret, when a trace needs it.
//  3. Manifests say nothing of a Secret that they leave out: it is assumed, unless they have one of that
//     name for another namespace.
type Secret struct {
	// Found is set where it is there, and Type is its type.
	Found bool
	Type  string
	// Assumed is set where manifests do not have it.
	Assumed bool
	// Unknown is why nothing is known of it; nil where it is.
	Unknown *Gap
}

// SecretOf is what is known of the Secret of that name.
func (s *Snapshot) SecretOf(namespace, name string) Secret {
	if secret, given := objectNamed(s.Secrets, namespace, name); given {
		return Secret{Found: true, Type: string(secret.Type)}
	}
	if s.askSecret != nil {
		return s.askSecret(namespace, name)
	}
	return Secret{Assumed: len(s.secretNamespaces(name)) == 0}
}

// secretNamespaces are those in which the resources have a Secret of that name.
func (s *Snapshot) secretNamespaces(name string) []string {
	var out []string
	for _, secret := range s.Secrets {
		if secret.Name == name {
			out = append(out, secret.Namespace)
		}
	}
	slices.Sort(out)
	return out
}

// NewSecret is a Secret of which nothing but name and type is kept.
func NewSecret(namespace, name, kind string) *corev1.Secret {
	s := &corev1.Secret{Type: corev1.SecretType(kind)}
	s.Kind, s.APIVersion, s.Namespace, s.Name = "Secret", "v1", namespace, name
	return s
}

// secretAbsent reports whether it is known that there is no such Secret.
func (s *Snapshot) secretAbsent(namespace, name string) bool {
	secret := s.SecretOf(namespace, name)
	return !secret.Found && !secret.Assumed && secret.Unknown == nil
}

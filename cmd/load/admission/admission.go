// Package admission knows what Istio's validating webhook refuses of Istio's own objects: the common mistakes, with the
// message that istiod gives, and whether the webhook would be asked at all.
//
// What is not here istiod may refuse all the same; what is here it does refuse: testdata/conformance compares every
// answer with Istio's own validation.
//
// Source: pkg/config/validation/validation.go and virtualservice.go; pkg/webhooks/validation/server/server.go.
package admission

import (
	"fmt"

	networking "istio.io/client-go/pkg/apis/networking/v1"
	security "istio.io/client-go/pkg/apis/security/v1"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// Refusal is one mistake for which istiod's webhook refuses an object.
type Refusal struct {
	// Field is the path of the mistake, such as spec.http[0].route.
	Field string
	// Message is istiod's.
	Message string
}

// Refusals are the mistakes of an object, in the order of its fields; none for a kind that istiod does not validate.
func Refusals(object resolve.Object) []Refusal {
	var c checker
	switch o := object.(type) {
	case *networking.Gateway:
		c.gateway(o.Name, &o.Spec)
	case *networking.VirtualService:
		c.virtualService(o.Namespace, &o.Spec)
	case *networking.DestinationRule:
		c.destinationRule(o.Namespace, &o.Spec)
	case *networking.ServiceEntry:
		c.serviceEntry(o.Namespace, o.Labels, &o.Spec)
	case *security.AuthorizationPolicy:
		c.authorizationPolicy(o.Namespace, o.Name, o.Annotations, &o.Spec)
	case *security.RequestAuthentication:
		c.requestAuthentication(&o.Spec)
	case *security.PeerAuthentication:
		c.peerAuthentication(&o.Spec)
	}
	return c.found
}

// checker collects the mistakes of one object.
type checker struct{ found []Refusal }

func (c *checker) refuse(field, format string, args ...any) {
	c.found = append(c.found, Refusal{Field: field, Message: fmt.Sprintf(format, args...)})
}

// refuseIf refuses for a message that a check found; "" is none.
func (c *checker) refuseIf(field, message string) {
	if message != "" {
		c.found = append(c.found, Refusal{Field: field, Message: message})
	}
}

// entry is the path of an entry of a list.
func entry(list string, i int) string { return fmt.Sprintf("%s[%d]", list, i) }

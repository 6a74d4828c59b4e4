package resolve

import (
	"google.golang.org/protobuf/proto"
)

// Converted is a resource that istiod makes of Gateway API objects and keeps to itself, under istiod's name for it.
type Converted struct {
	// Kind is Gateway, VirtualService or DestinationRule.
	Kind, Namespace, Name string
	Spec                  proto.Message
	// Services are those that a Gateway is bound to.
	Services []string
	// From is the object it is made of.
	From Ref
}

// Converted are the Gateways, VirtualServices and DestinationRules that istiod makes of the Gateway API objects.
func (s *Snapshot) Converted() []Converted {
	ix := s.index.kube()
	var out []Converted
	for _, c := range ix.configs {
		out = append(out, Converted{Kind: "Gateway", Namespace: c.Namespace, Name: c.Name, Spec: c.Spec, Services: c.services, From: c.Ref})
	}
	for _, vs := range ix.virtualServices {
		out = append(out, Converted{Kind: "VirtualService", Namespace: vs.Ref.Namespace, Name: vs.name, Spec: vs.Spec, From: vs.Ref})
	}
	made, _ := s.backendDestinationRules()
	for _, d := range made {
		out = append(out, Converted{Kind: "DestinationRule", Namespace: d.ref.Namespace, Name: d.name, Spec: d.spec, From: d.ref})
	}
	return out
}

package resolve

import (
	"k8s.io/apimachinery/pkg/runtime/schema"
	k8sgateway "sigs.k8s.io/gateway-api/apis/v1"
)

// ReferenceGrants let objects of one namespace refer to objects of another.
//
//  1. A grant stands in the namespace that is referred to.
//  2. from: group, kind and namespace of what refers. Routes, Gateways and ListenerSets count.
//  3. to: group and kind; without a name all of them. ConfigMap, Secret, Service and InferencePool count.
//
// Source: pilot/pkg/config/kube/gatewaycommon/references.go, ReferenceGrantsCollection, BackendAllowed, SecretAllowed.

var referenceGrantKind = schema.GroupKind{Group: k8sgateway.GroupName, Kind: "ReferenceGrant"}

// kindRef is a group and kind as grants compare them.
type kindRef struct{ group, kind string }

var grantableKinds = map[kindRef]bool{
	{"", "ConfigMap"}: true, {"", "Secret"}: true, {"", "Service"}: true,
	{"inference.networking.k8s.io", "InferencePool"}: true,
}

// RuleReferenceGranted is a reference into another namespace that is granted.
const RuleReferenceGranted RuleID = "referencegrant/granted"

var referenceGrantRules = []Rule{{
	ID: RuleReferenceGranted, Stage: StageRoute, Detail: true,
	Says:     "A ReferenceGrant lets objects of the kinds and namespaces in from refer to objects of its own namespace of the kinds and names in to.",
	Template: "lets a %s of namespace %s use %s %s",
	Source:   "pilot/pkg/config/kube/gatewaycommon/references.go, BackendAllowed, SecretAllowed",
}}

// granted finds the grant that lets a kind of the namespace refer to the object, and tells of it.
func (s *Snapshot) granted(from kindRef, fromNamespace string, to kindRef, namespace, name string) (Step, bool) {
	if !grantableKinds[to] {
		return Step{}, false
	}
	for _, g := range s.ReferenceGrants {
		ref := refOf(k8sgateway.GroupName, "ReferenceGrant", g)
		if g.Namespace != namespace {
			continue
		}
		for _, f := range g.Spec.From {
			if (kindRef{string(f.Group), string(f.Kind)}) != from || string(f.Namespace) != fromNamespace {
				continue
			}
			for i, t := range g.Spec.To {
				if (kindRef{string(t.Group), string(t.Kind)}) == to && (t.Name == nil || string(*t.Name) == name) {
					return NewStep(RuleReferenceGranted, Applied, ref.At(pathIndex("spec.to", i)), from.kind, fromNamespace, to.kind, name), true
				}
			}
		}
	}
	return Step{}, false
}

// gatewayKind is a kind of the Gateway API's own group.
func gatewayKind(kind string) kindRef { return kindRef{k8sgateway.GroupName, kind} }

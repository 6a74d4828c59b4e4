package explain

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// kind is a kind of object that can be explained.
type kind struct {
	name    string
	aliases []string
	// tell is what tells about an object of the kind.
	tell func(*teller)
}

// kinds are in the order in which messages name them. What runs as pods is named as a source is, by any kind of --from.
var kinds = []kind{
	{"VirtualService", []string{"vs", "virtualservices"}, (*teller).routes},
	{"DestinationRule", []string{"dr", "destinationrules"}, (*teller).destinationRule},
	{"Gateway", []string{"gw", "gateways", "gtw"}, (*teller).gateway},
	{"ServiceEntry", []string{"se", "serviceentries"}, (*teller).service},
	{"Sidecar", []string{"sidecars"}, (*teller).sidecar},
	{"HTTPRoute", []string{"httproutes"}, (*teller).routes},
	{"GRPCRoute", []string{"grpcroutes"}, (*teller).routes},
	{"TCPRoute", []string{"tcproutes"}, (*teller).routes},
	{"TLSRoute", []string{"tlsroutes"}, (*teller).routes},
	{"Ingress", []string{"ing", "ingresses"}, (*teller).routes},
	{"Service", []string{"svc", "services"}, (*teller).service},
	{"AuthorizationPolicy", []string{"ap", "authorizationpolicies"}, (*teller).policy},
	{"RequestAuthentication", []string{"ra", "requestauthentications"}, (*teller).policy},
	{"PeerAuthentication", []string{"pa", "peerauthentications"}, (*teller).peerAuthentication},
}

// UnknownKindError says that no object of the kind can be explained.
type UnknownKindError struct{ Kind string }

// Error names the kinds that can.
func (e *UnknownKindError) Error() string {
	return fmt.Sprintf("kind %q can not be explained; expected one of %s, or a workload (pod, deployment, …)", e.Kind, strings.Join(Kinds(), ", "))
}

// NotFoundError says that there is no such object.
type NotFoundError struct {
	Kind, Namespace, Name string
	// Others are objects of the kind, as NAMESPACE/NAME.
	Others []string
}

// Error names the object and those there are.
func (e *NotFoundError) Error() string {
	text := fmt.Sprintf("%s %s/%s is not found", e.Kind, e.Namespace, e.Name)
	switch n := len(e.Others); {
	case n == 0:
		return text + "; there is none of that kind"
	case n > 5:
		return text + fmt.Sprintf("; there are %s and %d more", strings.Join(e.Others[:5], ", "), n-5)
	}
	return text + "; there is " + strings.Join(e.Others, ", ")
}

// Kinds are the names of the kinds that can be explained, apart from workloads.
func Kinds() []string {
	var names []string
	for _, k := range kinds {
		names = append(names, k.name)
	}
	return names
}

// KindOf is the kind that a word such as vs, virtualservices or gateway.networking.istio.io names; ok is false for one that
// is none of [Kinds].
func KindOf(word string) (name string, ok bool) {
	if k := find(word); k != nil {
		return k.name, true
	}
	return "", false
}

func find(word string) *kind {
	word, _, _ = strings.Cut(strings.ToLower(word), ".") // what follows is a group
	for i, k := range kinds {
		if word == strings.ToLower(k.name) || slices.Contains(k.aliases, word) {
			return &kinds[i]
		}
	}
	return nil
}

// Parse reads KIND/NAME or NAMESPACE/KIND/NAME; ok is false for what is no such thing but a host.
func Parse(text string) (kind, namespace, name string, ok bool) {
	if strings.Contains(text, "://") {
		return "", "", "", false
	}
	switch parts := strings.Split(text, "/"); len(parts) {
	case 2:
		return parts[0], "", parts[1], parts[0] != "" && parts[1] != ""
	case 3:
		return parts[1], parts[0], parts[2], parts[0] != "" && parts[1] != "" && parts[2] != ""
	}
	return "", "", "", false
}

// Object tells everything that involves the object. The error is an [UnknownKindError], a [NotFoundError], or
// a [resolve.WorkloadNotFoundError] for a workload.
func Object(s *resolve.Snapshot, kindName, namespace, name string) (*Explanation, error) {
	k := find(kindName)
	if k == nil {
		return workload(s, kindName, namespace, name)
	}
	found := s.Named(k.name, namespace, name)
	if len(found) == 0 {
		return nil, &NotFoundError{Kind: k.name, Namespace: namespace, Name: name, Others: s.NamesOf(k.name)}
	}
	t := &teller{snapshot: s, object: found[0], Explanation: Explanation{Object: found[0], Istio: s.Version}}
	for _, other := range found[1:] { // a Gateway of Istio's and one of the Gateway API may have one name
		t.add(sectionObject, Finding{Verdict: resolve.Warned, Ref: other, Text: "has the same kind and name in another group and is not told of here"})
	}
	k.tell(t)
	return &t.Explanation, nil
}

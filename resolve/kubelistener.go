package resolve

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	wrappers "google.golang.org/protobuf/types/known/wrapperspb"
	networking "istio.io/api/networking/v1alpha3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	k8sgateway "sigs.k8s.io/gateway-api/apis/v1"
)

// A listener of the Gateway API becomes a server.
//
//  1. HTTP, HTTPS, TLS and TCP, in capitals, are the protocols there are.
//  2. Its hosts are NAMESPACE/HOSTNAME, for each namespace whose routes may attach: its own, any ("*"), or those
//     that a selector finds; "~" where it finds none. Without a hostname it is "*".
//  3. HTTP and HTTPS take HTTPRoutes and GRPCRoutes, TCP takes TCPRoutes, TLS takes TLSRoutes, and TCPRoutes too
//     where it ends the TLS. allowedRoutes.kinds narrows that.
//  4. tls: Terminate is SIMPLE, or what the option gateway.istio.io/tls-terminate-mode says; client certificates
//     are asked for by spec.tls.frontend of the Gateway. Passthrough is PASSTHROUGH, or AUTO_PASSTHROUGH for
//     the port 15443 of a Gateway labelled with a network.
//  5. HTTPS or TLS without tls is no listener at all. Without one certificate that can be used it takes no traffic.
//
// Source: pilot/pkg/config/kube/gateway/conversion.go, buildListener, buildTLS, buildHostnameMatch;
// pilot/pkg/config/kube/gatewaycommon/conversion.go, GenerateGatewaySupportedKinds.

// Rules of listeners.
const (
	RuleKubeListenerProtocol     RuleID = "kubelistener/protocol"
	RuleKubeListenerPort         RuleID = "kubelistener/port"
	RuleKubeListenerWithoutTLS   RuleID = "kubelistener/without-tls"
	RuleKubeListenerCertificates RuleID = "kubelistener/certificates"
	RuleKubeListenerGrant        RuleID = "kubelistener/certificate-not-granted"
	RuleKubeListenerClientCA     RuleID = "kubelistener/client-ca"
	RuleKubeListenerFirst        RuleID = "kubelistener/first-certificate"
)

var kubeListenerRules = []Rule{
	{
		ID: RuleKubeListenerProtocol, Stage: StageGateway,
		Says:     "Istio knows listeners of protocol HTTP, HTTPS, TLS and TCP, in capitals; another one takes no traffic.",
		Template: "protocol %s is not supported: the listener takes no traffic",
		Source:   "pilot/pkg/config/kube/gateway/conversion.go, listenerProtocolToIstio",
	},
	{
		ID: RuleKubeListenerPort, Stage: StageGateway,
		Says:     "A ListenerSet's listener without a port gets 80 for HTTP and 443 for HTTPS; another protocol needs one.",
		Template: "protocol %s needs a port: the listener takes no traffic",
		Source:   "pilot/pkg/config/kube/gatewaycommon/gateway_utils.go, ListenerEntryPortNumber",
	},
	{
		ID: RuleKubeListenerWithoutTLS, Stage: StageGateway,
		Says:     "An HTTPS or TLS listener without tls is not generated, and no route attaches to it.",
		Template: "protocol %s without tls: there is no such listener, and no route attaches to it",
		Source:   "pilot/pkg/config/kube/gateway/conversion.go, buildListener",
	},
	{
		ID: RuleKubeListenerCertificates, Stage: StageGateway,
		Says:     "A listener that ends TLS needs one certificate that can be used, and at most two are allowed; otherwise it takes no traffic, although routes attach to it.",
		Template: "%s: the listener takes no traffic",
		Source:   "pilot/pkg/config/kube/gateway/conversion.go, buildTLS",
	},
	{
		ID: RuleKubeListenerGrant, Stage: StageGateway,
		Says:     "A certificate of another namespace needs a ReferenceGrant there.",
		Template: "no ReferenceGrant in namespace %s lets %ss of namespace %s use %s %s",
		Source:   "pilot/pkg/config/kube/gateway/conversion.go, buildTLS",
	},
	{
		ID: RuleKubeListenerFirst, Stage: StageGateway,
		Says:     "Of two certificates of a listener of which one can be used, istiod takes the first one's name. If that is the other, the listener has none of them: it shows the gateway's own certificate of the mesh, and trusts clients of the mesh alone.",
		Template: "certificate %s cannot be used, and istiod takes no notice of %s, which can: the listener shows the gateway's own certificate of the mesh",
		Source:   "pilot/pkg/config/kube/gateway/conversion.go, buildTLS",
	},
	{
		ID: RuleKubeListenerClientCA, Stage: StageGateway,
		Says:     "Client certificates are validated against one ConfigMap or Secret that has a certificate; several references, one of another kind, or one that is not there, leave the listener without traffic.",
		Template: "%s: the listener takes no traffic",
		Source:   "pilot/pkg/config/kube/gateway/conversion.go, buildTLS, buildCaCertificateReference",
	},
}

// readListener fills what the listener becomes.
func (s *Snapshot) readListener(l *kubeListener) {
	tunnel := l.gateway.class.Controller == controllerEastWest && l.spec.Port == 15008 // no route attaches to it
	if l.conflict || tunnel {
		return
	}
	l.programmed = true
	tls := s.listenerTLS(l)
	switch l.spec.Protocol {
	case k8sgateway.HTTPProtocolType, k8sgateway.HTTPSProtocolType, k8sgateway.TLSProtocolType, k8sgateway.TCPProtocolType:
	default:
		l.accepted = string(k8sgateway.ListenerReasonUnsupportedProtocol)
		l.reject(NewStep(RuleKubeListenerProtocol, Skipped, l.ref.At(l.ref.Field+".protocol"), strconv.Quote(string(l.spec.Protocol))))
	}
	if l.spec.Port == 0 {
		l.accepted = string(k8sgateway.ListenerReasonUnsupportedProtocol)
		l.reject(NewStep(RuleKubeListenerPort, Skipped, l.ref.At(l.ref.Field+".port"), string(l.spec.Protocol)))
	}
	l.kinds = listenerKinds(l.spec)
	if tls == nil && (l.spec.Protocol == k8sgateway.HTTPSProtocolType || l.spec.Protocol == k8sgateway.TLSProtocolType) {
		if l.parent.Kind == "ListenerSet" {
			l.accepted = string(k8sgateway.ListenerReasonUnsupportedProtocol)
		}
		l.reject(NewStep(RuleKubeListenerWithoutTLS, Skipped, l.ref, string(l.spec.Protocol)))
		return
	}
	l.server = &networking.Server{
		Port:  &networking.Port{Name: "default", Number: uint32(l.spec.Port), Protocol: string(l.spec.Protocol)},
		Hosts: s.listenerHosts(l), Tls: tls,
	}
}

// listenerHosts is step 2.
func (s *Snapshot) listenerHosts(l *kubeListener) []string {
	host := string(ptr.Deref(l.spec.Hostname, "*"))
	var out []string
	for _, ns := range s.allowedNamespaces(l) {
		out = append(out, ns+"/"+host)
	}
	if len(out) == 0 {
		return []string{"~/" + host}
	}
	return out
}

func (s *Snapshot) allowedNamespaces(l *kubeListener) []string {
	allowed := l.spec.AllowedRoutes
	if allowed == nil || allowed.Namespaces == nil || ptr.Deref(allowed.Namespaces.From, k8sgateway.NamespacesFromSame) == k8sgateway.NamespacesFromSame {
		return []string{l.parent.Namespace}
	}
	if *allowed.Namespaces.From == k8sgateway.NamespacesFromAll || allowed.Namespaces.Selector == nil {
		return []string{"*"}
	}
	var out []string
	for name, ns := range s.Namespaces {
		if selectsNamespace(allowed.Namespaces.Selector, name, ns.Labels) {
			out = append(out, name)
		}
	}
	for _, name := range s.routeNamespaces() {
		if s.Namespaces[name] == nil && selectsNamespace(allowed.Namespaces.Selector, name, nil) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// routeNamespaces are those of the routes: each is there, even if its Namespace is not among the manifests.
func (s *Snapshot) routeNamespaces() []string {
	return slices.Concat(namespacesOf(s.HTTPRoutes), namespacesOf(s.GRPCRoutes), namespacesOf(s.TLSRoutes), namespacesOf(s.TCPRoutes))
}

func namespacesOf[T metav1.Object](list []T) []string {
	var out []string
	for _, o := range list {
		out = append(out, o.GetNamespace())
	}
	return out
}

// listenerKinds is step 3.
func listenerKinds(l k8sgateway.Listener) []kindRef {
	var supported []kindRef
	switch l.Protocol {
	case k8sgateway.HTTPProtocolType, k8sgateway.HTTPSProtocolType:
		supported = []kindRef{gatewayKind("HTTPRoute"), gatewayKind("GRPCRoute")}
	case k8sgateway.TCPProtocolType:
		supported = []kindRef{gatewayKind("TCPRoute")}
	case k8sgateway.TLSProtocolType:
		supported = []kindRef{gatewayKind("TLSRoute")}
		if l.TLS != nil && ptr.Deref(l.TLS.Mode, "") == k8sgateway.TLSModeTerminate {
			supported = append(supported, gatewayKind("TCPRoute"))
		}
	}
	if l.AllowedRoutes == nil || len(l.AllowedRoutes.Kinds) == 0 {
		return supported
	}
	return slices.DeleteFunc(supported, func(k kindRef) bool {
		return !slices.ContainsFunc(l.AllowedRoutes.Kinds, func(a k8sgateway.RouteGroupKind) bool {
			return k == kindRef{string(ptr.Deref(a.Group, k8sgateway.GroupName)), string(a.Kind)}
		})
	})
}

// The options of a listener's tls that Istio reads.
const (
	terminateModeOption = "gateway.istio.io/tls-terminate-mode"
	listenerModeOption  = "gateway.istio.io/listener-protocol"
)

// listenerTLS is step 4.
func (s *Snapshot) listenerTLS(l *kubeListener) *networking.ServerTLSSettings {
	tls := l.spec.TLS
	if tls == nil {
		return nil
	}
	out := &networking.ServerTLSSettings{}
	mode := string(tls.Options[terminateModeOption])
	switch ptr.Deref(tls.Mode, k8sgateway.TLSModeTerminate) {
	case k8sgateway.TLSModeTerminate:
		out.Mode = networking.ServerTLSSettings_SIMPLE
		switch mode {
		case "MUTUAL":
			out.Mode = networking.ServerTLSSettings_MUTUAL
		case "OPTIONAL_MUTUAL":
			out.Mode = networking.ServerTLSSettings_OPTIONAL_MUTUAL
		case "ISTIO_SIMPLE":
			out.CredentialName = "builtin://"
			return out
		case "ISTIO_MUTUAL":
			out.Mode = networking.ServerTLSSettings_ISTIO_MUTUAL
			return out
		}
		if s.listenerCertificates(l, out) {
			s.clientValidation(l, out, mode)
		}
	case k8sgateway.TLSModePassthrough:
		out.Mode = networking.ServerTLSSettings_PASSTHROUGH
		if l.autoPassthrough() {
			out.Mode = networking.ServerTLSSettings_AUTO_PASSTHROUGH
		}
	}
	return out
}

// listenerCertificates fills the certificates; it reports whether one can be used.
func (s *Snapshot) listenerCertificates(l *kubeListener, out *networking.ServerTLSSettings) bool {
	at := l.ref.At(l.ref.Field + ".tls.certificateRefs")
	refs := l.spec.TLS.CertificateRefs
	if len(refs) > 2 {
		l.resolved = string(k8sgateway.ListenerReasonInvalidCertificateRef)
		l.reject(NewStep(RuleKubeListenerCertificates, Skipped, at, "more than two certificates"))
		return false
	}
	names, usable := make([]string, len(refs)), 0
	var why []string
	for i, ref := range refs {
		namespace := string(ptr.Deref(ref.Namespace, k8sgateway.Namespace(l.parent.Namespace)))
		kind := kindRef{string(ptr.Deref(ref.Group, "")), string(ptr.Deref(ref.Kind, "Secret"))}
		switch {
		case kind != kindRef{"", "Secret"}:
			l.resolved = cmp.Or(l.resolved, string(k8sgateway.ListenerReasonInvalidCertificateRef))
			why = append(why, "certificate "+string(ref.Name)+" is a "+kind.kind+", not a Secret")
		case !s.listenerMayUse(l, kind, namespace, string(ref.Name)):
			step := NewStep(RuleKubeListenerGrant, Skipped, at.At(pathIndex(at.Field, i)), namespace, l.parent.Kind, l.parent.Namespace, "Secret", string(ref.Name))
			l.steps, l.resolved = append(l.steps, step), cmp.Or(l.resolved, string(k8sgateway.ListenerReasonRefNotPermitted))
			why = append(why, step.Reason())
		case s.secretAbsent(namespace, string(ref.Name)):
			l.resolved = cmp.Or(l.resolved, string(k8sgateway.ListenerReasonInvalidCertificateRef))
			why = append(why, "Secret "+namespace+"/"+string(ref.Name)+" does not exist"+butIn(s.secretNamespaces(string(ref.Name))))
			l.notes = append(l.notes, s.secretsElsewhere(credential{namespace: namespace, name: string(ref.Name)})...)
		default:
			names[i] = schemeGateway + namespace + "/" + string(ref.Name)
			usable++
		}
	}
	switch {
	case usable == 0 && len(why) > 0:
		if l.resolved == string(k8sgateway.ListenerReasonRefNotPermitted) {
			l.accepted = string(k8sgateway.ListenerReasonNoValidCACertificate)
		}
		l.reject(NewStep(RuleKubeListenerCertificates, Skipped, at, strings.Join(why, "; ")))
		return false
	case usable == 0:
		// No reference at all is no error of its own: pilot returns none.
	case usable == 1:
		out.CredentialName = names[0]
		if names[0] == "" {
			l.notes = append(l.notes, NewStep(RuleKubeListenerFirst, Applied, at.At(pathIndex(at.Field, 0)), string(refs[0].Name), string(refs[1].Name)))
		}
	default:
		out.CredentialNames = names
	}
	if usable > 0 {
		l.resolved = ""
	}
	return usable > 0
}

// clientValidation is what spec.tls.frontend of the Gateway asks of clients on the listener's port.
// Source: pilot/pkg/config/kube/gateway/conversion.go, resolveGatewayTLS.
func (s *Snapshot) clientValidation(l *kubeListener, out *networking.ServerTLSSettings, mode string) {
	gw := l.gateway
	if gw.object.Spec.TLS == nil || gw.object.Spec.TLS.Frontend == nil {
		return
	}
	frontend := gw.object.Spec.TLS.Frontend
	config, at := &frontend.Default, gw.ref.At("spec.tls.frontend.default.validation.caCertificateRefs")
	for i := range frontend.PerPort {
		if frontend.PerPort[i].Port == l.spec.Port {
			config, at = &frontend.PerPort[i].TLS, gw.ref.At(pathIndex("spec.tls.frontend.perPort", i)+".tls.validation.caCertificateRefs")
			break
		}
	}
	if config.Validation == nil || len(config.Validation.CACertificateRefs) == 0 {
		return
	}
	if len(config.Validation.CACertificateRefs) > 1 {
		l.accepted, l.resolved = string(k8sgateway.ListenerReasonNoValidCACertificate), string(k8sgateway.ListenerReasonInvalidCACertificateRef)
		l.reject(NewStep(RuleKubeListenerClientCA, Skipped, at, "more than one CA"))
		return
	}
	ref := config.Validation.CACertificateRefs[0]
	namespace := string(ptr.Deref(ref.Namespace, k8sgateway.Namespace(l.parent.Namespace)))
	kind := kindRef{string(ref.Group), string(ref.Kind)}
	scheme := map[kindRef]string{{"", "ConfigMap"}: "configmap", {"", "Secret"}: "kubernetes-gateway"}[kind]
	var ca authority
	switch {
	case scheme == "configmap":
		ca = s.authority(namespace, string(ref.Name))
	case scheme != "" && s.secretAbsent(namespace, string(ref.Name)):
		ca.wrong = "Secret " + namespace + "/" + string(ref.Name) + " does not exist" + butIn(s.secretNamespaces(string(ref.Name)))
		ca.steps = s.secretsElsewhere(credential{namespace: namespace, name: string(ref.Name)})
	}
	for i := range ca.steps {
		ca.steps[i].Stage = StageGateway
	}
	switch {
	case scheme == "":
		l.accepted, l.resolved = string(k8sgateway.ListenerReasonNoValidCACertificate), string(k8sgateway.ListenerReasonInvalidCACertificateKind)
		l.reject(NewStep(RuleKubeListenerClientCA, Skipped, at, "the CA is a "+kind.kind+", not a ConfigMap or Secret"))
		return
	case ca.wrong != "":
		l.accepted, l.resolved = string(k8sgateway.ListenerReasonNoValidCACertificate), string(k8sgateway.ListenerReasonInvalidCACertificateRef)
		l.steps = append(l.steps, ca.steps...)
		l.reject(NewStep(RuleKubeListenerClientCA, Skipped, at, ca.wrong))
		return
	case !s.listenerMayUse(l, kind, namespace, string(ref.Name)):
		l.accepted, l.resolved = string(k8sgateway.ListenerReasonNoValidCACertificate), string(k8sgateway.ListenerReasonRefNotPermitted)
		l.reject(NewStep(RuleKubeListenerGrant, Skipped, at, namespace, l.parent.Kind, l.parent.Namespace, kind.kind, string(ref.Name)))
		return
	}
	l.notes = append(l.notes, ca.steps...)
	out.Mode, out.InsecureSkipVerify = networking.ServerTLSSettings_MUTUAL, wrappers.Bool(false)
	switch {
	case mode == "OPTIONAL_MUTUAL":
		out.Mode = networking.ServerTLSSettings_OPTIONAL_MUTUAL
	case config.Validation.Mode == k8sgateway.AllowInsecureFallback && mode != "MUTUAL":
		out.Mode, out.InsecureSkipVerify = networking.ServerTLSSettings_OPTIONAL_MUTUAL, wrappers.Bool(true)
	}
	out.CaCertCredentialName = scheme + "://" + namespace + "/" + string(ref.Name) + "-cacert"
}

// autoPassthrough reports whether the server name leads to a cluster without routes.
// Source: pilot/pkg/serviceregistry/kube/conversion.go, IsAutoPassthrough.
func (l *kubeListener) autoPassthrough() bool {
	if string(l.spec.TLS.Options[listenerModeOption]) == "auto-passthrough" {
		return true
	}
	if _, ok := l.labels["topology.istio.io/network"]; !ok {
		return false
	}
	port, ok := l.labels["networking.istio.io/gatewayPort"]
	if !ok {
		port = "15443"
	}
	return strconv.Itoa(int(l.spec.Port)) == port
}

// listenerMayUse reports whether a listener may refer to an object: one of its own namespace, or one that is granted.
func (s *Snapshot) listenerMayUse(l *kubeListener, kind kindRef, namespace, name string) bool {
	if namespace == l.parent.Namespace {
		return true
	}
	step, ok := s.granted(gatewayKind(l.parent.Kind), l.parent.Namespace, kind, namespace, name)
	if ok {
		step.Stage = StageGateway
		l.notes = append(l.notes, step)
	}
	return ok
}

package resolve

import (
	"net/netip"
	"strconv"

	"istio.io/api/annotation"
	"istio.io/api/label"
	mesh "istio.io/api/mesh/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"
	k8sgateway "sigs.k8s.io/gateway-api/apis/v1"
)

// Which waypoint a Service, a ServiceEntry or a workload uses.
//
//  1. What is a waypoint or an east-west gateway itself (label gateway.istio.io/managed) uses none.
//  2. The label istio.io/use-waypoint of the object, with istio.io/use-waypoint-namespace of the same object; the value
//     none is no waypoint. Without the label on the object, the two labels of its namespace.
//  3. The Gateway of that name must have an address in its status, which istiod writes once its first pod is ready and
//     never takes back. Otherwise there is no waypoint: nothing falls back to the namespace's. The class is not looked at.
//  4. Its listener (the one of protocol HBONE on port 15008, or what waypointkind.go says) must allow routes from the object's namespace.
//  5. Label istio.io/waypoint-for of the Gateway, else of its GatewayClass, else "service", is the traffic it takes: service
//     or all for Services and ServiceEntries, workload or all for pods and WorkloadEntries.
//  6. A ServiceEntry of visibility NAMESPACE uses no waypoint of another namespace.
//  7. istio.io/use-waypoint-canary, from where the waypoint itself comes, names a second one for the share of connections
//     that the annotation istio.io/use-waypoint-canary-weight says.
//
// Where any of this fails, requests go past the waypoint, to the pods themselves.
//
// Source: pilot/pkg/serviceregistry/ambient/waypoints.go, fetchWaypointForTarget, fetchWaypointForService,
// fetchWaypointForWorkload, buildWeightedWaypoints.

// Rules of waypoint binding.
const (
	RuleWaypointBound        RuleID = "waypoint/bound"
	RuleWaypointInherited    RuleID = "waypoint/of-namespace"
	RuleWaypointNone         RuleID = "waypoint/opted-out"
	RuleWaypointMissing      RuleID = "waypoint/not-found"
	RuleWaypointNotReady     RuleID = "waypoint/not-ready"
	RuleWaypointDenied       RuleID = "waypoint/attachment-denied"
	RuleWaypointTraffic      RuleID = "waypoint/other-traffic"
	RuleWaypointFor          RuleID = "waypoint/for"
	RuleWaypointVisibility   RuleID = "waypoint/other-namespace-forbidden"
	RuleWaypointLabelAlone   RuleID = "waypoint/namespace-label-alone"
	RuleWaypointCanary       RuleID = "waypoint/canary"
	RuleWaypointCanaryWrong  RuleID = "waypoint/canary-refused"
	RuleWaypointNoPort       RuleID = "waypoint/no-hbone-port"
	RuleWaypointDirect       RuleID = "waypoint/dialled-itself"
	RuleWaypointPassedBy     RuleID = "waypoint/passed-by"
	RuleWaypointFromIngress  RuleID = "waypoint/from-ingress"
	RuleWaypointIngressNone  RuleID = "waypoint/from-ingress-none-ready"
	RuleWaypointIngressOther RuleID = "waypoint/from-ingress-other-ready"
)

const waypointSource = "pilot/pkg/serviceregistry/ambient/waypoints.go, "

var waypointRules = []Rule{
	{
		ID: RuleWaypointBound, Stage: StageWaypoint,
		Says:     "The label istio.io/use-waypoint of a Service, ServiceEntry, pod or WorkloadEntry names the waypoint that its traffic goes through.",
		Template: "%s uses waypoint %s",
		Source:   waypointSource + "GetUseWaypoint",
	},
	{
		ID: RuleWaypointInherited, Stage: StageWaypoint,
		Says:     "What has no label istio.io/use-waypoint uses the waypoint that its namespace names.",
		Template: "%s uses waypoint %s, as its namespace does",
		Source:   waypointSource + "fetchWaypointForTarget",
	},
	{
		ID: RuleWaypointNone, Stage: StageWaypoint,
		Says:     "istio.io/use-waypoint: none keeps an object, or a namespace, from any waypoint.",
		Template: "%s has istio.io/use-waypoint: none",
		Source:   waypointSource + "GetUseWaypoint",
	},
	{
		ID: RuleWaypointMissing, Stage: StageWaypoint,
		Says:     "A waypoint that does not exist is not used, and that of the namespace is not used in its place: requests go to the pods themselves.",
		Template: "%s names waypoint %s, which does not exist%s: requests go past it",
		Source:   waypointSource + "fetchWaypointForTarget",
	},
	{
		ID: RuleWaypointNotReady, Stage: StageWaypoint,
		Says:     "A waypoint without an address in its status has never been ready and is not used: requests go to the pods themselves.",
		Template: "%s names waypoint %s, which has no address in its status (it was never ready): requests go past it",
		Source:   waypointSource + "gatewayToWaypointTransform",
	},
	{
		ID: RuleWaypointDenied, Stage: StageWaypoint,
		Says:     "A waypoint takes the traffic of other namespaces only where allowedRoutes of its listener lets them; otherwise it is not used.",
		Template: "waypoint %s allows routes from %s, and %s is in namespace %s: requests go past it",
		Source:   waypointSource + "AllowsAttachmentFromNamespace",
	},
	{
		ID: RuleWaypointTraffic, Stage: StageWaypoint,
		Says:     "A waypoint takes requests that are addressed to a Service or to a workload, as its label istio.io/waypoint-for says; Services by default.",
		Template: "waypoint %s is for %q, and the request is addressed to a %s: it goes past it",
		Source:   waypointSource + "fetchWaypointForService, fetchWaypointForWorkload",
	},
	{
		ID: RuleWaypointFor, Stage: StageWaypoint, Detail: true,
		Says:     "istio.io/waypoint-for of a Gateway, else of its GatewayClass, is the traffic that a waypoint takes.",
		Template: "waypoint %s is for %q",
		Source:   waypointSource + "gatewayToWaypointTransform",
	},
	{
		ID: RuleWaypointVisibility, Stage: StageWaypoint,
		Says:     "A ServiceEntry that is visible in its own namespace alone uses no waypoint of another one.",
		Template: "%s is visible in namespace %s alone and may not use waypoint %s",
		Source:   waypointSource + "fetchWaypointForService",
	},
	{
		ID: RuleWaypointLabelAlone, Stage: StageWaypoint,
		Says:     "istio.io/use-waypoint-namespace without istio.io/use-waypoint on the same object is not read.",
		Template: "%s has istio.io/use-waypoint-namespace without istio.io/use-waypoint: it is not read",
		Source:   waypointSource + "GetUseWaypoint",
	},
	{
		ID: RuleWaypointCanary, Stage: StageWaypoint,
		Says:     "istio.io/use-waypoint-canary sends the share of connections that its weight annotation says through a second waypoint.",
		Template: "%d%% of the connections go through canary waypoint %s",
		Source:   waypointSource + "buildWeightedWaypoints",
	},
	{
		ID: RuleWaypointCanaryWrong, Stage: StageWaypoint,
		Says:     "A canary waypoint that can not be used, that is the waypoint itself, or whose weight is no number from 0 to 100, gets nothing.",
		Template: "canary waypoint %s gets nothing: %s",
		Source:   waypointSource + "buildWeightedWaypoints",
	},
	{
		ID: RuleWaypointNoPort, Stage: StageWaypoint,
		Says:     "Any Gateway with an address can be named as a waypoint; without port 15008 of its Service it takes nothing.",
		Template: "%s has no port %d: nothing there takes HBONE",
		Source:   "ztunnel, src/state.rs, load_balance",
	},
	{
		ID: RuleWaypointPassedBy, Stage: StageWaypoint,
		Says:     "Sidecars never send through a waypoint, and gateways only to services that say istio.io/ingress-use-waypoint: true: what the waypoint enforces does not apply to them.",
		Template: "%s sends past waypoint %s, straight to the pods: %s",
		Source:   "pilot/pkg/xds/endpoints/endpoint_builder.go, findServiceWaypoint, buildEnvoyLbEndpoint",
	},
	{
		ID: RuleWaypointFromIngress, Stage: StageWaypoint,
		Says:     "With istio.io/ingress-use-waypoint: true on a Service, or its namespace, gateways send through its waypoint, which routes again.",
		Template: "gateways send through waypoint %s",
		Source:   "pilot/pkg/xds/endpoints/endpoint_builder.go, findServiceWaypoint",
	},
	{
		ID: RuleWaypointIngressNone, Stage: StageLoadBalance,
		Says:     "Where gateways send through a waypoint that has no pod that is ready the answer is 503: nothing falls back to the pods behind it.",
		Template: "waypoint %s has no pod that is ready behind port 15008, and nothing falls back to the pods of the Service",
		Source:   "pilot/pkg/xds/endpoints/endpoint_builder.go, findServiceWaypoint",
	},
	{
		ID: RuleWaypointIngressOther, Stage: StageWaypoint,
		Says:     "Gateways share out among the pods of a waypoint and of its canary: where one has none that is ready, the other gets everything.",
		Template: "waypoint %s has no pod that is ready: of what gateways send, waypoint %s gets everything",
		Source:   "pilot/pkg/xds/endpoints/endpoint_builder.go, weightedWaypointEndpoints",
	},
	{
		ID: RuleWaypointDirect, Stage: StageListener,
		Says:     "A waypoint listens for HBONE on port 15008 alone.",
		Template: "%s is a waypoint: it listens for HBONE alone, and port %d is closed",
		Source:   "pilot/pkg/networking/core/listener_waypoint.go, buildWaypointInboundConnectTerminate",
	},
}

// hbonePort is where waypoints and ztunnels take HBONE.
const hbonePort = 15008

// Waypoint is a Gateway that takes the traffic of others before it reaches them.
type Waypoint struct {
	// Ref is the Gateway.
	Ref Ref
	// For is the traffic it takes: service, workload, all or none.
	For string
	// ForRef is the Gateway or GatewayClass that says so; zero for the default.
	ForRef Ref
	// Address is what its status says, a host name before an IP.
	Address string
	gateway *k8sgateway.Gateway
}

// Name is NAMESPACE/NAME.
func (w *Waypoint) Name() string { return w.Ref.QualifiedName() }

// WaypointBinding is which waypoint something uses.
type WaypointBinding struct {
	// Waypoint is nil where requests go straight to the pods.
	Waypoint *Waypoint
	// Canary takes CanaryWeight percent of the connections; nil without one.
	Canary       *Waypoint
	CanaryWeight int
	// Steps say why, and why not.
	Steps []Step
	// By is the label that decided; zero where there is none.
	By Ref
	// Named is the Gateway that it names, whether or not that can be used; zero for none.
	Named Ref
}

// bound is something that may use a waypoint.
type bound struct {
	ref         Ref
	namespace   string
	labels      map[string]string
	annotations map[string]string
	// traffic is service or workload.
	traffic string
}

// ServiceWaypoint is the waypoint that requests to a Service, or to a host of a ServiceEntry, go through.
func (s *Snapshot) ServiceWaypoint(svc *Service) WaypointBinding {
	svc = s.asLabelled(svc)
	if m := svc.Labels[label.GatewayManaged.Name]; m == managedByWaypointController || m == managedByEastWestController || svc.Resolution == Alias { // 1.
		return WaypointBinding{}
	}
	o := bound{ref: svc.Ref.Object(), namespace: svc.Namespace, labels: svc.Labels, annotations: s.serviceAnnotations(svc), traffic: "service"}
	b := s.waypointOf(o)
	if b.Waypoint != nil && svc.Registry != RegistryKubernetes && b.Waypoint.Ref.Namespace != svc.Namespace && s.visibilityAtZtunnel(svc) == mesh.ServiceEntryVisibility_NAMESPACE { // 6.
		b.Steps = append(b.Steps, NewStep(RuleWaypointVisibility, Skipped, b.By, svc.Ref.Object(), svc.Namespace, b.Waypoint.Name()))
		b.Waypoint = nil
	}
	if b.Waypoint != nil {
		s.canary(&b, o)
	}
	return b
}

// WorkloadWaypoint is the waypoint that requests to an address of a workload go through.
func (s *Snapshot) WorkloadWaypoint(w *Workload) WaypointBinding {
	if w.Labels[label.IoK8sNetworkingGatewayGatewayName.Name] != "" && s.waypointNamed(w.Namespace, w.Labels[label.IoK8sNetworkingGatewayGatewayName.Name]) != nil { // 1.
		return WaypointBinding{}
	}
	return s.waypointOf(bound{ref: workloadRef(w), namespace: w.Namespace, labels: w.Labels, annotations: w.Annotations, traffic: "workload"})
}

// IngressUsesWaypoint reports whether gateways send requests for the service through its waypoint.
//
// Source: pilot/pkg/xds/endpoints/endpoint_builder.go, findServiceWaypoint; ambient/services.go, ingressUseWaypointFromLabels.
func (s *Snapshot) IngressUsesWaypoint(svc *Service) (Ref, bool) {
	svc = s.asLabelled(svc)
	name := label.IoIstioIngressUseWaypoint.Name
	at, v := svc.Ref.Object(), svc.Labels[name]
	if _, own := svc.Labels[name]; !own {
		ns := s.Namespaces[svc.Namespace]
		if ns == nil {
			return Ref{}, false
		}
		if _, inherited := ns.Labels[name]; !inherited {
			return Ref{}, false
		}
		at, v = Ref{Kind: "Namespace", Name: svc.Namespace}, ns.Labels[name]
	}
	uses, err := strconv.ParseBool(v)
	return at.At("metadata.labels[" + name + "]"), err == nil && uses && s.feature(featureIngressWaypoint).on
}

// waypointOf is steps 2 to 5.
func (s *Snapshot) waypointOf(o bound) WaypointBinding {
	labels, at, inherited := o.labels, o.ref, false
	var b WaypointBinding
	if _, own := labels[label.IoIstioUseWaypoint.Name]; !own {
		if _, alone := labels[label.IoIstioUseWaypointNamespace.Name]; alone {
			b.Steps = append(b.Steps, NewStep(RuleWaypointLabelAlone, Skipped, o.ref.At("metadata.labels["+label.IoIstioUseWaypointNamespace.Name+"]"), o.ref))
		}
		ns := s.Namespaces[o.namespace]
		if ns == nil {
			return b
		}
		labels, at, inherited = ns.Labels, Ref{Kind: "Namespace", Name: o.namespace}, true
	}
	name, found := labels[label.IoIstioUseWaypoint.Name]
	if !found {
		return b
	}
	b.By = at.At("metadata.labels[" + label.IoIstioUseWaypoint.Name + "]")
	if step, off := s.AmbientOff(); off {
		b.Steps = []Step{step}
		return b
	}
	if name == "none" {
		b.Steps = append(b.Steps, NewStep(RuleWaypointNone, Skipped, b.By, at))
		return b
	}
	b.Named = gatewayNamed(labels, label.IoIstioUseWaypoint.Name, label.IoIstioUseWaypointNamespace.Name, o.namespace)
	w, refused := s.usableWaypoint(o, at, b.By, b.Named)
	switch {
	case w == nil:
		b.Steps = append(b.Steps, refused)
		return b
	case w.For != o.traffic && w.For != "all":
		says := w.ForRef
		if says.IsZero() {
			says = w.Ref.At("metadata.labels[" + label.IoIstioWaypointFor.Name + "]")
		}
		b.Steps = append(b.Steps, NewStep(RuleWaypointTraffic, Skipped, says, w.Name(), w.For, o.traffic))
		return b
	case inherited:
		b.Steps = append(b.Steps, NewStep(RuleWaypointInherited, Matched, b.By, o.ref, w.Name()))
	default:
		b.Steps = append(b.Steps, NewStep(RuleWaypointBound, Matched, b.By, o.ref, w.Name()))
	}
	if !w.ForRef.IsZero() {
		b.Steps = append(b.Steps, NewStep(RuleWaypointFor, Applied, w.ForRef, w.Name(), w.For))
	}
	b.Waypoint = w
	return b
}

// gatewayNamed is the Gateway that a pair of labels names.
func gatewayNamed(labels map[string]string, name, namespace, fallback string) Ref {
	at := Ref{Group: k8sgateway.GroupName, Kind: "Gateway", Namespace: fallback, Name: labels[name]}
	if other, ok := labels[namespace]; ok {
		at.Namespace = other
	}
	return at
}

// usableWaypoint is steps 3 and 4; nil with the step that says why not. who is the object, or its namespace, that names it.
func (s *Snapshot) usableWaypoint(o bound, who, by, gateway Ref) (*Waypoint, Step) {
	w := s.waypointNamed(gateway.Namespace, gateway.Name)
	if w != nil {
		if from, allowed := s.waypointAllows(w, o.namespace); !allowed {
			return nil, NewStep(RuleWaypointDenied, Skipped, w.Ref.At("spec.listeners"), w.Name(), from, o.ref, o.namespace)
		}
		return w, Step{}
	}
	if o, exists := objectNamed(s.waypointGateways(), gateway.Namespace, gateway.Name); exists {
		verdict := Skipped
		if s.Offline && len(o.Status.Conditions) == 0 { // manifests do not say whether it was ready
			verdict = Warned
		}
		return nil, NewStep(RuleWaypointNotReady, verdict, gateway.At("status.addresses"), who, gateway.QualifiedName())
	}
	unread, verdict := "", Skipped
	if gaps := s.GapsOf(schema.GroupKind{Group: k8sgateway.GroupName, Kind: "Gateway"}, gateway.Namespace); len(gaps) > 0 {
		unread, verdict = " among what could be read ("+string(gaps[0].Reason)+")", Warned
	}
	return nil, NewStep(RuleWaypointMissing, verdict, by, who, gateway.QualifiedName(), unread)
}

// waypointNamed is the Gateway of that name, if its status has an address.
func (s *Snapshot) waypointNamed(namespace, name string) *Waypoint {
	o, found := objectNamed(s.waypointGateways(), namespace, name)
	if !found {
		return nil
	}
	w := &Waypoint{Ref: refOf(k8sgateway.GroupName, "Gateway", o), For: "service", gateway: o}
	if class, ok := objectNamed(s.GatewayClasses, "", string(o.Spec.GatewayClassName)); ok {
		if v, labelled := class.Labels[label.IoIstioWaypointFor.Name]; labelled {
			w.For, w.ForRef = v, refOf(k8sgateway.GroupName, "GatewayClass", class)
		}
	}
	if v, ok := o.Labels[label.IoIstioWaypointFor.Name]; ok {
		w.For, w.ForRef = v, w.Ref
	}
	if !w.ForRef.IsZero() {
		w.ForRef = w.ForRef.At("metadata.labels[" + label.IoIstioWaypointFor.Name + "]")
	}
	w.Address = s.gatewayAddress(o, w.Ref)
	if w.Address == "" {
		return nil
	}
	return w
}

// gatewayAddress is an address of the status: a host name if there is one. A waypoint in manifests that have no status is
// taken to be ready.
func (s *Snapshot) gatewayAddress(o *k8sgateway.Gateway, ref Ref) string {
	for _, kind := range []k8sgateway.AddressType{k8sgateway.HostnameAddressType, k8sgateway.IPAddressType} {
		for _, a := range o.Status.Addresses {
			if a.Type != nil && *a.Type == kind {
				return a.Value
			}
		}
	}
	class, ok := s.KubeGatewayClass(string(o.Spec.GatewayClassName))
	if !s.Offline || !ok || class.Controller != controllerWaypoint || len(o.Status.Conditions) > 0 || len(o.Status.Addresses) > 0 {
		return ""
	}
	g := &kubeGateway{ref: ref, object: o, class: class}
	if g.bind(s.Mesh.Domain); len(g.services) == 0 {
		return ""
	}
	return g.services[0]
}

// waypointAllows is step 4; from is what the listener allows.
//
// Source: pilot/pkg/serviceregistry/ambient/waypoints.go, makeAllowedRoutes, makeWaypointSelector.
func (s *Snapshot) waypointAllows(w *Waypoint, namespace string) (from string, allowed bool) {
	i := s.inboundListener(w.gateway)
	if i < 0 || w.gateway.Spec.Listeners[i].AllowedRoutes == nil || w.gateway.Spec.Listeners[i].AllowedRoutes.Namespaces == nil {
		return "its own namespace", w.Ref.Namespace == namespace
	}
	n := w.gateway.Spec.Listeners[i].AllowedRoutes.Namespaces
	switch ptr.Deref(n.From, k8sgateway.NamespacesFromSame) {
	case k8sgateway.NamespacesFromAll:
		return "all namespaces", true
	case k8sgateway.NamespacesFromSelector:
		selector, err := metav1.LabelSelectorAsSelector(n.Selector)
		if err != nil {
			return "no namespace (its selector is wrong)", false
		}
		return "namespaces with " + selector.String(), selector.Matches(s.namespaceLabels(namespace))
	}
	return "its own namespace", w.Ref.Namespace == namespace
}

// canary is step 7.
func (s *Snapshot) canary(b *WaypointBinding, o bound) {
	at, labels, annotations := o.ref, o.labels, o.annotations
	weight, weighted := annotations[annotation.IoIstioUseWaypointCanaryWeight.Name]
	if _, own := o.labels[label.IoIstioUseWaypoint.Name]; !own && s.Namespaces[o.namespace] != nil {
		ns := s.Namespaces[o.namespace]
		if _, ok := labels[label.IoIstioUseWaypointCanary.Name]; !ok {
			at, labels = Ref{Kind: "Namespace", Name: o.namespace}, ns.Labels
		}
		if !weighted {
			weight, weighted = ns.Annotations[annotation.IoIstioUseWaypointCanaryWeight.Name]
		}
	}
	name := labels[label.IoIstioUseWaypointCanary.Name]
	if name == "" || name == "none" {
		return
	}
	by := at.At("metadata.labels[" + label.IoIstioUseWaypointCanary.Name + "]")
	gateway := gatewayNamed(labels, label.IoIstioUseWaypointCanary.Name, label.IoIstioUseWaypointCanaryNamespace.Name, o.namespace)
	refuse := func(why string) {
		b.Steps = append(b.Steps, NewStep(RuleWaypointCanaryWrong, Skipped, by, gateway.QualifiedName(), why))
	}
	percent, err := strconv.Atoi(weight)
	w, refused := s.usableWaypoint(o, at, by, gateway)
	switch {
	case gateway.QualifiedName() == b.Waypoint.Name():
		refuse("it is the waypoint itself")
	case weighted && (err != nil || percent < 0 || percent > 100):
		refuse("weight " + strconv.Quote(weight) + " is no number from 0 to 100")
	case w == nil:
		refuse(refused.Reason())
	case w.For != o.traffic && w.For != "all":
		refuse("it is for " + strconv.Quote(w.For))
	default:
		b.Canary, b.CanaryWeight = w, percent
		b.Steps = append(b.Steps, NewStep(RuleWaypointCanary, Applied, by, percent, w.Name()))
	}
}

// WaypointService is the Service by which a waypoint is reached; nil where its address is none of a Service that is known.
func (s *Snapshot) WaypointService(w *Waypoint) *Service {
	for _, svc := range s.ServicesForHost(w.Address) {
		if svc.Namespace == w.Ref.Namespace {
			return svc
		}
	}
	if ip, err := netip.ParseAddr(w.Address); err == nil {
		return s.serviceAt(ip)
	}
	return nil
}

// WaypointEndpoints are the pods of a waypoint that a client's ztunnel may send HBONE to.
//
// Source: ztunnel, src/state.rs, fetch_waypoint.
func (s *Snapshot) WaypointEndpoints(client *Workload, w *Waypoint) ([]*Endpoint, []Step) {
	svc := s.WaypointService(w)
	if svc == nil {
		if ip, err := netip.ParseAddr(w.Address); err == nil {
			if pod := s.WorkloadAt(ip); pod != nil && pod.Ready {
				return []*Endpoint{endpointOf(pod, w.Address, hbonePort, workloadRef(pod))}, nil
			}
		}
		return nil, nil
	}
	port, ok := svc.PortByNumber(hbonePort)
	if !ok {
		return nil, []Step{NewStep(RuleWaypointNoPort, None, svc.Ref.At("spec.ports"), svc.Ref.Object(), hbonePort)}
	}
	return s.ZtunnelEndpoints(client, svc, port)
}

// GatewayOf is the Gateway of which the workload is a waypoint; the workload itself where there is none.
func (s *Snapshot) GatewayOf(w *Workload) Ref {
	o, found := objectNamed(s.waypointGateways(), w.Namespace, w.Labels[label.IoK8sNetworkingGatewayGatewayName.Name])
	if !found {
		return w.Owner
	}
	return refOf(k8sgateway.GroupName, "Gateway", o)
}

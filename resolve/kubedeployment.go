package resolve

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"istio.io/api/annotation"
	"istio.io/api/label"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/intstr"
	k8sgateway "sigs.k8s.io/gateway-api/apis/v1"
)

// What istiod deploys for a Gateway, where manifests leave it out.
//
//  1. It deploys for a managed Gateway (kubegateway.go) of a class that deploys. Here the controller of the GatewayClass
//     object counts, even if it is not Istio's: then nothing is deployed, though the Gateway is read.
//  2. Deployment and Service are called GATEWAY-CLASS (waypoints and east-west gateways as the Gateway) or as the
//     annotation gateway.istio.io/name-override says; the ServiceAccount GATEWAY-CLASS or as
//     gateway.istio.io/service-account says.
//  3. Their labels and annotations are those of spec.infrastructure, without any there those of the Gateway, and the labels
//     gateway.networking.k8s.io/gateway-name and gateway-class-name.
//  4. The Service has the port 15021 and one for each port of a listener, those of ListenerSets with it, that
//     leads to the same pod port; it is as its first listener says, and of the type of the class or of the
//     annotation networking.istio.io/service-type.
//  5. What is there already under that name stays as it is.
//
// A mesh read from a cluster is taken as it is: what istiod has not deployed is missing.
//
// Source: pilot/pkg/config/kube/gatewaycommon/deploymentcontroller.go, Reconcile, configureIstioGateway,
// extractServicePorts, extractInfrastructureMetadata;
// manifests/charts/istio-control/istio-discovery/files/kube-gateway.yaml, waypoint.yaml.

// Rules of what serves a Gateway.
const (
	RuleKubeGatewayDeployed     RuleID = "kubegateway/deployed"
	RuleKubeGatewayParameters   RuleID = "kubegateway/parameters"
	RuleKubeGatewayNotDeployed  RuleID = "kubegateway/nothing-deployed"
	RuleKubeGatewayNoAddress    RuleID = "kubegateway/no-hostname"
	RuleKubeGatewayNoService    RuleID = "kubegateway/no-service"
	RuleKubeGatewayNoProxy      RuleID = "kubegateway/no-proxy"
	RuleKubeGatewayServiceApart RuleID = "kubegateway/service-without-proxy"
)

var kubeDeploymentRules = []Rule{
	{
		ID: RuleKubeGatewayDeployed, Stage: StageGateway,
		Says:     "istiod deploys a gateway workload and a Service for each managed Gateway of its classes; where manifests leave them out, they are taken as istiod makes them.",
		Template: "istiod makes %s for it, as for every Gateway of class %s (Service ports %s)",
		Source:   "pilot/pkg/config/kube/gatewaycommon/deploymentcontroller.go, configureIstioGateway",
	},
	{
		ID: RuleKubeGatewayParameters, Stage: StageGateway,
		Says:     "The ConfigMap of spec.infrastructure.parametersRef can change anything of what istiod deploys; its contents are not read.",
		Template: "%s %s changes what istiod deploys in ways that are not read",
		Source:   "pilot/pkg/config/kube/gatewaycommon/deploymentcontroller.go, render",
	},
	{
		ID: RuleKubeGatewayNotDeployed, Stage: StageGateway,
		Says:     "istiod deploys nothing for a Gateway whose GatewayClass names a controller it does not know, even if the class has the name of one of its own.",
		Template: "gets no Deployment and no Service of istiod: GatewayClass %s names controller %s, which is not Istio's",
		Source:   "pilot/pkg/config/kube/gatewaycommon/deploymentcontroller.go, Reconcile",
	},
	{
		ID: RuleKubeGatewayNoAddress, Stage: StageGateway,
		Says:     "A Gateway with several addresses of which none is of type Hostname is bound to no Service, and istiod deploys none for it.",
		Template: "is served by no proxy: none of its addresses is of type Hostname, and with several istiod deploys nothing",
		Source:   "pilot/pkg/config/kube/gateway/conversion.go, extractGatewayServices",
	},
	{
		ID: RuleKubeGatewayNoService, Stage: StageGateway,
		Says:     "A Gateway is served by the gateway workloads behind its Services, in its own namespace; without such a Service no proxy serves it.",
		Template: "is served by no proxy: Service %s does not exist in namespace %s",
		Source:   "pilot/pkg/model/push_context.go, mergeGateways",
	},
	{
		ID: RuleKubeGatewayServiceApart, Stage: StageGateway, Detail: true,
		Says:     "A Service that selects no gateway workload leads to no gateway.",
		Template: "selects no gateway workload",
		Source:   "pilot/pkg/model/push_context.go, mergeGateways",
	},
	{
		ID: RuleKubeGatewayNoProxy, Stage: StageGateway,
		Says:     "A Gateway whose Service selects no gateway workload is served by no proxy.",
		Template: "is served by no proxy: Service %s selects no gateway workload",
		Source:   "pilot/pkg/model/push_context.go, mergeGateways",
	},
}

// gatewayDeployment is what istiod deploys for one Gateway.
type gatewayDeployment struct {
	gateway *kubeGateway
	// listeners are those of its ListenerSets too.
	listeners []k8sgateway.Listener
	// network is that of istiod's namespace, for a Gateway that names none.
	network string
}

// deployedOrigin is where a resource comes from that istiod makes for a Gateway.
type deployedOrigin struct{ gateway Ref }

// Locate names the Gateway.
func (o deployedOrigin) Locate(string) string { return "made by istiod for " + o.gateway.String() }

// deployGateways adds what istiod deploys for the cluster's Gateways to what manifests hold. It is for NewSnapshot only.
func (s *Snapshot) deployGateways(gateways []*k8sgateway.Gateway) {
	if !s.Offline {
		return
	}
	for _, o := range gateways {
		d := s.gatewayDeployment(o)
		if d == nil {
			continue
		}
		cell := s.runningCell(o.Namespace)
		cell.deployments = append(cell.deployments, d)
		ref := Ref{Kind: "Service", Cluster: ClusterOf(o), Namespace: o.Namespace, Name: d.gateway.deployedName()}
		if _, exists := s.origins[ref]; !exists {
			s.KubeServices = append(s.KubeServices, d.service())
			s.origins[ref] = deployedOrigin{d.gateway.ref}
		}
	}
	slices.SortStableFunc(s.KubeServices, byAge)
}

// gatewayDeployment is step 1; nil for a Gateway for which istiod deploys nothing.
func (s *Snapshot) gatewayDeployment(o *k8sgateway.Gateway) *gatewayDeployment {
	class, ok := s.KubeGatewayClass(string(o.Spec.GatewayClassName))
	if !ok || !class.Deploys {
		return nil
	}
	if _, other := s.ofOtherController(class.Name); other {
		return nil
	}
	g := &kubeGateway{ref: refOf(k8sgateway.GroupName, "Gateway", o), object: o, class: class}
	if g.bind(s.Mesh.Domain); !g.managed {
		return nil
	}
	d := &gatewayDeployment{gateway: g, listeners: slices.Clone(o.Spec.Listeners), network: s.systemNetwork().name}
	for _, l := range s.listenerSetListeners(g) {
		d.listeners = append(d.listeners, l.spec)
	}
	return d
}

// run adds the ServiceAccount and the Deployment to what runs in the namespace of the Gateway, unless it
// has them, or a workload behind the Service of the Gateway.
func (d *gatewayDeployment) run(s *Snapshot, r *Running, before []Sourced) []Sourced {
	origin := deployedOrigin{d.gateway.ref}
	var made []Sourced
	account := &corev1.ServiceAccount{ObjectMeta: d.meta(d.account(), nil)}
	if !r.has(refOf("", "ServiceAccount", account), before) {
		made = append(made, Sourced{account, serviceAccountKind, origin})
	}
	deployment := d.deployment()
	ref := refOf(appsv1.GroupName, "Deployment", deployment)
	if r.has(ref, before) {
		return made
	}
	selector := deployment.Spec.Selector.MatchLabels
	if i := slices.IndexFunc(s.KubeServices, func(svc *corev1.Service) bool {
		return svc.Namespace == ref.Namespace && svc.Name == ref.Name
	}); i >= 0 && len(s.KubeServices[i].Spec.Selector) > 0 {
		selector = s.KubeServices[i].Spec.Selector
	}
	if r.selects(selector, before) {
		return made
	}
	return append(made, Sourced{deployment, deploymentKind, origin})
}

// has reports whether manifests, or what was made before, have the resource.
func (r *Running) has(ref Ref, before []Sourced) bool {
	kind := schema.GroupKind{Group: ref.Group, Kind: ref.Kind}
	_, ok := r.read(kind).origins[ref]
	return ok || slices.ContainsFunc(before, func(s Sourced) bool { return refOf(s.GroupKind.Group, s.GroupKind.Kind, s.Object) == ref })
}

// selects reports whether some pod or pod template, or one that was made before, has the labels.
func (r *Running) selects(selector map[string]string, before []Sourced) bool {
	if !r.seen() {
		return false
	}
	r.need(templateKinds...)
	if slices.ContainsFunc(r.Pods(), func(p *corev1.Pod) bool { return Selects(selector, p.Labels) }) {
		return true
	}
	var objects []Object
	for _, kind := range templateKinds {
		objects = append(objects, r.read(kind).objects...)
	}
	for _, made := range before {
		objects = append(objects, made.Object)
	}
	return slices.ContainsFunc(objects, func(o Object) bool {
		t, ok := templateOf(o)
		return ok && Selects(selector, t.meta.Labels)
	})
}

// meta is step 3; more are further labels.
func (d *gatewayDeployment) meta(name string, more map[string]string) metav1.ObjectMeta {
	o := d.gateway.object
	out := metav1.ObjectMeta{
		Name: name, Namespace: o.Namespace, CreationTimestamp: o.CreationTimestamp,
		Labels: maps.Clone(o.Labels), Annotations: maps.Clone(o.Annotations),
	}
	if infra := o.Spec.Infrastructure; infra != nil {
		if infra.Labels != nil {
			out.Labels = infrastructure(infra.Labels)
		}
		if infra.Annotations != nil {
			out.Annotations = infrastructure(infra.Annotations)
			SetCluster(&out, ClusterOf(o))
		}
	}
	for _, own := range []string{
		corev1.LastAppliedConfigAnnotation, annotation.GatewayNameOverride.Name,
		annotation.GatewayServiceAccount.Name, "gateway.istio.io/controller-version",
	} {
		delete(out.Annotations, own)
	}
	labels := map[string]string{}
	maps.Copy(labels, out.Labels)
	maps.Copy(labels, more)
	labels[label.IoK8sNetworkingGatewayGatewayName.Name] = o.Name
	labels[label.IoK8sNetworkingGatewayGatewayClassName.Name] = d.gateway.class.Name
	out.Labels = labels
	return out
}

// infrastructure are labels or annotations of spec.infrastructure, without those of the Gateway API itself.
func infrastructure[K, V ~string](in map[K]V) map[string]string {
	out := map[string]string{}
	for k, v := range in {
		if !strings.HasPrefix(string(k), k8sgateway.GroupName+"/") {
			out[string(k)] = string(v)
		}
	}
	return out
}

func (d *gatewayDeployment) account() string {
	g := d.gateway
	if name, ok := g.object.Annotations[annotation.GatewayServiceAccount.Name]; ok {
		return name
	}
	return g.defaultName()
}

// The values of the label gateway.istio.io/managed.
const (
	managedByWaypointController = "istio.io-mesh-controller"
	managedByEastWestController = "istio.io-eastwest-controller"
)

// proxyKinds are what the proxy is run as, by the controller of the class.
var proxyKinds = map[k8sgateway.GatewayController]struct{ args, managed string }{
	controllerGateway:  {"router", "istio.io-gateway-controller"},
	controllerWaypoint: {"waypoint", managedByWaypointController},
	controllerEastWest: {"waypoint", managedByEastWestController},
}

func (d *gatewayDeployment) deployment() *appsv1.Deployment {
	name, kind := d.gateway.deployedName(), proxyKinds[d.gateway.class.Controller]
	managed := map[string]string{label.GatewayManaged.Name: kind.managed}
	pod := d.meta("", managed)
	for k, v := range map[string]string{labelInject: "false", labelCanonicalName: name, labelCanonicalRev: "latest"} {
		if _, own := pod.Labels[k]; !own {
			pod.Labels[k] = v
		}
	}
	if _, own := pod.Labels[labelDataplaneMode]; !own {
		pod.Labels[labelDataplaneMode] = modeNone
	}
	return &appsv1.Deployment{
		ObjectMeta: d.meta(name, managed),
		Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{label.IoK8sNetworkingGatewayGatewayName.Name: d.gateway.object.Name}},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: pod.Labels, Annotations: pod.Annotations},
				Spec: corev1.PodSpec{
					ServiceAccountName: d.account(),
					Containers: []corev1.Container{{
						Name: proxyContainer, Args: []string{"proxy", kind.args}, Env: d.environment(pod.Labels),
						Ports: []corev1.ContainerPort{
							{Name: "metrics", ContainerPort: 15020, Protocol: corev1.ProtocolTCP},
							{Name: "status-port", ContainerPort: 15021, Protocol: corev1.ProtocolTCP},
							{Name: "http-envoy-prom", ContainerPort: 15090, Protocol: corev1.ProtocolTCP},
						},
					}},
				},
			},
		},
	}
}

// environment are the variables of the proxy that are about networks.
func (d *gatewayDeployment) environment(labels map[string]string) []corev1.EnvVar {
	own := labels[labelNetwork]
	var out []corev1.EnvVar
	if name := cmp.Or(own, d.network); name != "" {
		out = append(out, corev1.EnvVar{Name: metaNetwork, Value: name})
	}
	if own != "" && d.gateway.class.Controller != controllerWaypoint {
		out = append(out, corev1.EnvVar{Name: metaNetworkView, Value: own})
	}
	return out
}

// service is step 4.
func (d *gatewayDeployment) service() *corev1.Service {
	o := d.gateway.object
	out := &corev1.Service{
		ObjectMeta: d.meta(d.gateway.deployedName(), map[string]string{label.GatewayManaged.Name: proxyKinds[d.gateway.class.Controller].managed}),
		Spec: corev1.ServiceSpec{
			Type:     corev1.ServiceType(d.gateway.class.ServiceType),
			Selector: map[string]string{label.IoK8sNetworkingGatewayGatewayName.Name: o.Name},
		},
	}
	if kind, ok := o.Annotations[annotation.NetworkingServiceType.Name]; ok {
		out.Spec.Type = corev1.ServiceType(kind)
	}
	if _, own := out.Annotations[annotation.NetworkingTrafficDistribution.Name]; !own && d.gateway.class.Controller != controllerGateway {
		if out.Annotations == nil {
			out.Annotations = map[string]string{}
		}
		out.Annotations[annotation.NetworkingTrafficDistribution.Name] = "PreferClose"
	}
	add := func(name string, number int32, protocol string) {
		out.Spec.Ports = append(out.Spec.Ports, corev1.ServicePort{
			Name: name, Port: number, TargetPort: intstr.FromInt32(number), Protocol: corev1.ProtocolTCP, AppProtocol: &protocol,
		})
	}
	add("status-port", 15021, "tcp")
	for i, l := range d.listeners {
		if slices.ContainsFunc(out.Spec.Ports[1:], func(p corev1.ServicePort) bool { return p.Port == l.Port }) {
			continue
		}
		protocol := strings.ToLower(string(l.Protocol))
		name := strings.ReplaceAll(string(l.Name), ".", "-")
		if name == "" {
			name = fmt.Sprintf("%s-%d", protocol, i)
		}
		add(freePortName(name, l.Port, out.Spec.Ports), l.Port, protocol)
	}
	return out
}

// freePortName is a port name of at most 63 characters that no port has.
// Source: pilot/pkg/config/kube/gatewaycommon/deploymentcontroller.go, uniquePortName.
func freePortName(name string, number int32, ports []corev1.ServicePort) string {
	name = name[:min(len(name), 63)]
	free := name
	for suffix := "-" + strconv.Itoa(int(number)); slices.ContainsFunc(ports, func(p corev1.ServicePort) bool { return p.Name == free }); suffix += "x" {
		free = name[:max(0, min(len(name), 63-len(suffix)))] + suffix
	}
	return free
}

package apiserver

import (
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	networking "istio.io/api/networking/v1alpha3"
)

// addPods makes an owner's pods. Those of a StatefulSet have names of their own under its service.
func (c *Cluster) addPods(kind string, owner metav1.ObjectMeta, n int, template corev1.PodTemplateSpec, service string, owned map[string]bool) {
	if owned[owner.Namespace+"/"+kind+"/"+owner.Name] {
		return
	}
	for _, p := range c.Pods { // pods of a Deployment's ReplicaSet
		if p.Owner == c.owned(kind+" "+owner.Namespace+"/"+owner.Name) {
			return
		}
	}
	for i := range n {
		p := &corev1.Pod{ObjectMeta: *template.ObjectMeta.DeepCopy(), Spec: *template.Spec.DeepCopy()}
		p.Name, p.Namespace = fmt.Sprintf("%s-%d", owner.Name, i), owner.Namespace
		p.CreationTimestamp = metav1.NewTime(created)
		if kind == "StatefulSet" {
			p.Spec.Hostname, p.Spec.Subdomain = p.Name, service
		}
		c.addPod(p, kind+" "+owner.Namespace+"/"+owner.Name)
	}
}

var replicaSetOf = regexp.MustCompile(`-[a-z0-9]{5,10}$`)

func ownerOf(p *corev1.Pod) string {
	if len(p.OwnerReferences) == 0 {
		return "Pod " + p.Namespace + "/" + p.Name
	}
	r := p.OwnerReferences[0]
	if r.Kind == "ReplicaSet" {
		return "Deployment " + p.Namespace + "/" + replicaSetOf.ReplaceAllString(r.Name, "")
	}
	return r.Kind + " " + p.Namespace + "/" + r.Name
}

// addPod makes the pod run: injected where a webhook would, with an address and ready.
func (c *Cluster) addPod(p *corev1.Pod, owner string) {
	if p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed {
		return
	}
	fresh := p.Status.Phase == "" && p.Status.PodIP == "" && len(p.Status.Conditions) == 0
	p.TypeMeta = metav1.TypeMeta{Kind: "Pod", APIVersion: "v1"}
	if p.Labels == nil {
		p.Labels = map[string]string{}
	}
	p.Labels = maps.Clone(p.Labels)
	if p.Spec.ServiceAccountName == "" {
		p.Spec.ServiceAccountName = "default"
	}
	for _, containers := range [][]corev1.Container{p.Spec.InitContainers, p.Spec.Containers} {
		for i := range containers {
			for j := range containers[i].Ports {
				if containers[i].Ports[j].Protocol == "" {
					containers[i].Ports[j].Protocol = corev1.ProtocolTCP
				}
			}
		}
	}
	pod := &Pod{Pod: p, Owner: c.owned(owner), Cluster: c.id, Ready: true}
	pod.Proxy = runs(p)
	if pod.Proxy == "" && fresh && c.injects(p) {
		pod.Proxy = templated(p)
		pod.Injected = true
	}
	c.capture(pod, fresh)
	if pod.Proxy == "sidecar" {
		if _, ok := p.Labels["security.istio.io/tlsMode"]; !ok && fresh {
			p.Labels["security.istio.io/tlsMode"] = "istio"
		}
	}
	if p.Status.PodIP == "" {
		pod.Invented = true
		c.nextPod = c.nextPod.Next()
		p.Status.PodIP = c.nextPod.String()
		c.invented[c.nextPod] = true
	}
	if len(p.Status.PodIPs) == 0 {
		p.Status.PodIPs = []corev1.PodIP{{IP: p.Status.PodIP}}
	}
	pod.Address, _ = netip.ParseAddr(p.Status.PodIP)
	if p.Status.Phase == "" {
		p.Status.Phase = corev1.PodRunning
	}
	told := false
	for _, condition := range p.Status.Conditions {
		if condition.Type == corev1.PodReady {
			told, pod.Ready = true, condition.Status == corev1.ConditionTrue
		}
	}
	if !told {
		p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{Type: corev1.PodReady, Status: corev1.ConditionTrue})
	}
	if len(p.Labels) == 0 {
		p.Labels = nil // as an API server has it: Istio's collections take no labels for more than empty ones
	}
	c.Pods = append(c.Pods, pod)
	c.deployments[owner] = true
}

// templated is the proxy that the webhook puts into a pod: that of the templates the pod names, among them
// those of one's own, which are taken to hold none.
func templated(p *corev1.Pod) string {
	names, ok := p.Annotations["inject.istio.io/templates"]
	if !ok {
		return "sidecar"
	}
	for name := range strings.SplitSeq(names, ",") {
		if name = strings.TrimSpace(name); name == "sidecar" || name == "gateway" {
			return name
		}
	}
	return ""
}

// runs is the proxy that a pod's own containers hold.
func runs(p *corev1.Pod) string {
	for _, x := range slices.Concat(p.Spec.InitContainers, p.Spec.Containers) {
		if x.Name != "istio-proxy" || x.Image == "auto" {
			continue
		}
		if slices.Contains(x.Args, "router") {
			return "gateway"
		}
		if slices.Contains(x.Args, "waypoint") {
			return "waypoint"
		}
		if len(x.Args) == 0 && (strings.Contains(p.Annotations["inject.istio.io/templates"], "gateway") ||
			p.Labels["istio"] == "ingressgateway" || p.Labels["istio"] == "egressgateway") {
			return "gateway"
		}
		return "sidecar"
	}
	return ""
}

func (c *Cluster) injects(p *corev1.Pod) bool {
	if p.Spec.HostNetwork || p.Namespace == "kube-system" || p.Labels["sidecar.istio.io/inject"] == "false" {
		return false
	}
	if _, ok := p.Labels["sidecar.istio.io/inject"]; !ok && p.Annotations["sidecar.istio.io/inject"] == "false" {
		return false
	}
	var of map[string]string
	ns := c.namespaces[p.Namespace]
	if ns != nil && len(c.injectors) > 0 {
		return slices.ContainsFunc(c.injectors, func(w admissionv1.MutatingWebhook) bool {
			return chosen(w.NamespaceSelector, ns.Labels) && chosen(w.ObjectSelector, p.Labels)
		})
	}
	_, labelled := p.Labels["sidecar.istio.io/inject"]
	if _, byPod := p.Labels["istio.io/rev"]; ns == nil && p.Namespace != "istio-system" && !labelled && !byPod {
		return len(c.Configs) > 0 // as the tracer says that it assumes
	}
	if ns != nil {
		of = ns.Labels
	}
	if v, ok := of["istio-injection"]; ok {
		return v == "enabled"
	}
	_, byNamespace := of["istio.io/rev"]
	_, byPod := p.Labels["istio.io/rev"]
	return byNamespace || byPod || p.Labels["sidecar.istio.io/inject"] == "true"
}

// chosen reports whether the selector of a webhook takes the labels.
func chosen(selector *metav1.LabelSelector, set map[string]string) bool {
	s, err := metav1.LabelSelectorAsSelector(selector)
	return err == nil && (selector == nil || s.Matches(labels.Set(set)))
}

// AddClient adds a workload with a sidecar that no manifest names, once for each namespace.
func (c *Cluster) AddClient(namespace string) *Pod {
	for _, p := range c.Pods {
		if p.Owner == "Namespace /"+namespace {
			return p
		}
	}
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "some-client", Namespace: namespace, CreationTimestamp: metav1.NewTime(created), Labels: map[string]string{"sidecar.istio.io/inject": "true"}}}
	before := c.namespaces[namespace]
	delete(c.namespaces, namespace)
	c.addPod(p, "Namespace /"+namespace)
	if before != nil {
		c.namespaces[namespace] = before
	}
	pod := c.Pods[len(c.Pods)-1]
	delete(pod.Labels, "sidecar.istio.io/inject") // the label of its proxy remains
	c.Objects = append(c.Objects, pod.Pod)
	return pod
}

// addMachines gives each WorkloadEntry that istiod takes to speak mTLS a machine with a proxy of its own
// at its address: by the label security.istio.io/tlsMode, else by its service account. One that istiod takes to be captured has a
// ztunnel.
func (c *Cluster) addMachines() {
	for _, cfg := range c.Configs {
		we, ok := cfg.Spec.(*networking.WorkloadEntry)
		if !ok {
			continue
		}
		ip, err := netip.ParseAddr(we.GetAddress())
		if err != nil {
			continue
		}
		labels := maps.Clone(cfg.Labels)
		if labels == nil {
			labels = map[string]string{}
		}
		maps.Copy(labels, we.GetLabels())
		if cfg.Annotations[redirection] == enabled && c.Ambient {
			c.Pods = append(c.Pods, &Pod{
				Pod: &corev1.Pod{
					ObjectMeta: metav1.ObjectMeta{Name: cfg.Name, Namespace: cfg.Namespace, Labels: labels, Annotations: cfg.Annotations},
					Spec:       corev1.PodSpec{ServiceAccountName: we.GetServiceAccount()},
				},
				Owner: "WorkloadEntry " + cfg.Namespace + "/" + cfg.Name, Captured: true, Address: ip, Ready: true, Machine: true,
			})
			continue
		}
		if mode, told := labels["security.istio.io/tlsMode"]; told && mode != "istio" || !told && we.GetServiceAccount() == "" {
			continue
		}
		c.Pods = append(c.Pods, &Pod{
			Pod: &corev1.Pod{
				ObjectMeta: metav1.ObjectMeta{Name: cfg.Name, Namespace: cfg.Namespace, Labels: labels},
				Spec:       corev1.PodSpec{ServiceAccountName: we.GetServiceAccount()},
			},
			Owner: "WorkloadEntry " + cfg.Namespace + "/" + cfg.Name, Proxy: "sidecar", Address: ip, Ready: true, Machine: true,
		})
	}
}

// Node is the node's labels, for its locality.
func (c *Cluster) Node(name string) map[string]string {
	if n := c.nodes[name]; n != nil {
		return n.Labels
	}
	return nil
}

// Invented reports whether no manifest gives the address of a pod or Service.
func (c *Cluster) Invented(ip netip.Addr) bool { return c.invented[ip] }

// IsNamespace reports whether the manifests have the namespace.
func (c *Cluster) IsNamespace(name string) bool { return c.namespaces[name] != nil }

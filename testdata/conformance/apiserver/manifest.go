package apiserver

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"istio.io/istio/pilot/pkg/config/kube/crd"
	"istio.io/istio/pkg/kube"
)

// The cluster for an API server without controllers: everything that they, the kubelet and Istio's injector would add.
//
//  1. A pod of a Deployment has a ReplicaSet, which the Deployment has. Its ServiceAccount is there.
//  2. A pod with a proxy has its container, and what the injector writes beside it.
//  3. The Deployments and Services of Gateways that istiod manages are left to it.
//  4. A gateway may read the Secrets of its namespace, as Istio's charts let it.

// templateHash stands for the hash of a pod template.
const templateHash = "7d9f6b5c4"

// Manifest is the cluster as JSON documents for an API server, status included but for what istiod writes. What addresses
// Services have that no manifest gives, the API server decides.
func (c *Cluster) Manifest() (string, error) {
	var out bytes.Buffer
	write := func(o any) error {
		text, err := applicable(o)
		if err != nil {
			return err
		}
		out.WriteString("---\n")
		out.Write(text)
		out.WriteByte('\n')
		return nil
	}
	objects, err := c.run()
	if err != nil {
		return "", err
	}
	for _, o := range objects {
		kinds, _, err := kube.IstioScheme.ObjectKinds(o)
		if err != nil {
			return "", err
		}
		o.GetObjectKind().SetGroupVersionKind(kinds[0])
		if err := write(o); err != nil {
			return "", err
		}
	}
	for _, cfg := range c.Configs {
		o, err := crd.ConvertConfig(cfg)
		if err != nil {
			return "", err
		}
		if err := write(o); err != nil {
			return "", err
		}
	}
	return out.String(), nil
}

// applicable is the JSON of an object without the status that istiod writes, which the Go type has even where it is empty.
func applicable(o any) ([]byte, error) {
	text, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	var fields map[string]any
	if err := json.Unmarshal(text, &fields); err != nil {
		return nil, err
	}
	if version, _ := fields["apiVersion"].(string); strings.HasPrefix(version, "gateway.networking.") || strings.Contains(version, "istio.io/") {
		delete(fields, "status")
	}
	return json.MarshalIndent(fields, "", " ") // each line short enough for a reader of documents
}

// run is steps 1 to 3.
func (c *Cluster) run() ([]runtime.Object, error) {
	var out []runtime.Object
	made := map[string]bool{}
	for _, o := range c.Objects {
		switch x := o.(type) {
		case *corev1.Pod:
		case *corev1.Service:
			if c.managed(x.Namespace, x.Spec.Selector) {
				continue
			}
			x = x.DeepCopy()
			if ip, err := netip.ParseAddr(x.Spec.ClusterIP); err == nil && c.invented[ip] {
				x.Spec.ClusterIP, x.Spec.ClusterIPs = "", nil
			}
			out = append(out, x)
		default:
			out = append(out, o)
		}
	}
	for _, p := range c.Pods {
		if p.Machine {
			continue
		}
		pod := p.DeepCopy()
		install(pod, p.Proxy)
		if key := "ServiceAccount " + pod.Namespace + "/" + pod.Spec.ServiceAccountName; !made[key] {
			made[key] = true
			out = append(out, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Spec.ServiceAccountName}})
			if p.Proxy == "gateway" {
				out = append(out, readsSecrets(pod)...)
			}
		}
		kind, name, _ := strings.Cut(strings.Replace(p.Owner, pod.Namespace+"/", "", 1), " ")
		switch kind {
		case "Pod":
		case "Deployment":
			deployment, set := deploymentOf(name, pod)
			if !made[p.Owner] {
				made[p.Owner] = true
				out = append(out, set)
				if !c.managed(p.Namespace, p.Labels) {
					out = append(out, deployment)
				}
			}
			pod.OwnerReferences = ownedBy("apps/v1", "ReplicaSet", set.Name)
		case "StatefulSet", "DaemonSet":
			pod.OwnerReferences = ownedBy("apps/v1", kind, name)
		default:
			return nil, Unjudged{fmt.Sprintf("a pod of %s", p.Owner)}
		}
		out = append(out, pod)
	}
	return out, nil
}

// managed reports whether labels are those of pods that istiod makes for a Gateway.
func (c *Cluster) managed(namespace string, labels map[string]string) bool {
	gateway := labels["gateway.networking.k8s.io/gateway-name"]
	return gateway != "" && slices.ContainsFunc(c.Pods, func(p *Pod) bool {
		return p.Namespace == namespace && p.Labels["gateway.networking.k8s.io/gateway-name"] == gateway && p.Labels["gateway.istio.io/managed"] != ""
	})
}

// install is step 2.
func install(pod *corev1.Pod, proxy string) {
	if pod.Annotations == nil {
		pod.Annotations = map[string]string{}
	}
	container := corev1.Container{Name: "istio-proxy", Image: "docker.io/istio/proxyv2:1.31.0"}
	at := -1
	for i, x := range pod.Spec.Containers {
		if x.Name == container.Name {
			at = i
		}
	}
	switch {
	case proxy == "":
		return
	case proxy == "gateway":
		container.Args = []string{"proxy", "router"}
	case proxy == "sidecar":
		container.Args = []string{"proxy", "sidecar"}
		pod.Annotations["sidecar.istio.io/status"] = `{"initContainers":["istio-init","istio-proxy"],"containers":null,"revision":"default"}`
	}
	switch {
	case at >= 0 && pod.Spec.Containers[at].Image == "auto":
		pod.Spec.Containers[at].Image, pod.Spec.Containers[at].Args = container.Image, container.Args
	case at < 0 && runs(pod) == "":
		always := corev1.ContainerRestartPolicyAlways
		container.RestartPolicy = &always
		pod.Spec.InitContainers = append(pod.Spec.InitContainers, container)
	}
	if len(pod.Spec.Containers) == 0 {
		pod.Spec.Containers = []corev1.Container{{Name: "app", Image: "app"}}
	}
}

// readsSecrets is step 4.
func readsSecrets(pod *corev1.Pod) []runtime.Object {
	meta := metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Spec.ServiceAccountName}
	return []runtime.Object{
		&rbacv1.Role{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"get", "watch", "list"}}}},
		&rbacv1.RoleBinding{
			ObjectMeta: meta,
			Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: meta.Namespace, Name: meta.Name}},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: meta.Name},
		},
	}
}

// deploymentOf are the Deployment of a pod and its ReplicaSet.
func deploymentOf(name string, pod *corev1.Pod) (*appsv1.Deployment, *appsv1.ReplicaSet) {
	template := corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: pod.Labels}, Spec: *pod.Spec.DeepCopy()}
	template.Spec.NodeName = ""
	selector := &metav1.LabelSelector{MatchLabels: pod.Labels}
	if len(pod.Labels) == 0 { // an API server takes no empty selector
		selector.MatchLabels = map[string]string{"deployment": name}
		template.Labels = selector.MatchLabels
	}
	d := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: name},
		Spec:       appsv1.DeploymentSpec{Selector: selector, Template: template},
	}
	s := &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: name + "-" + templateHash, OwnerReferences: ownedBy("apps/v1", "Deployment", name)},
		Spec:       appsv1.ReplicaSetSpec{Selector: selector, Template: template},
	}
	return d, s
}

func ownedBy(version, kind, name string) []metav1.OwnerReference {
	yes := true
	return []metav1.OwnerReference{{APIVersion: version, Kind: kind, Name: name, UID: types.UID(kind + "-" + name), Controller: &yes}}
}

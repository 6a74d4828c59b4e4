//go:build integ

package integration

import (
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"istio.io/api/annotation"
	"istio.io/istio/pkg/test"
	"istio.io/istio/pkg/test/framework/components/cluster"
	"istio.io/istio/pkg/test/framework/components/echo"
	"istio.io/istio/pkg/test/framework/components/echo/deployment"
	"istio.io/istio/pkg/test/framework/components/echo/kube"
	"istio.io/istio/pkg/test/framework/resource"
	"istio.io/istio/pkg/test/util/yml"
)

// builder deploys what Istio's own would.
type builder struct {
	suite   *suite
	configs []echo.Config
	refs    []*echo.Instance
}

var _ deployment.Builder = &builder{}

// Builder deploys workloads for a test.
func Builder(ctx resource.Context) (deployment.Builder, error) {
	c, ok := ctx.(*testContext)
	if !ok {
		return nil, fmt.Errorf("no test of this cluster: %T", ctx)
	}
	return &builder{suite: c.suite}, nil
}

// With notes what to deploy, and where its instance is wanted.
func (b *builder) With(i *echo.Instance, cfg echo.Config) deployment.Builder {
	b.configs, b.refs = append(b.configs, cfg), append(b.refs, i)
	return b
}

// WithConfig notes what to deploy.
func (b *builder) WithConfig(cfg echo.Config) deployment.Builder { return b.With(nil, cfg) }

// WithClusters is the one cluster.
func (b *builder) WithClusters(...cluster.Cluster) deployment.Builder { return b }

// Build deploys it.
func (b *builder) Build() (echo.Instances, error) {
	var out echo.Instances
	for k, cfg := range b.configs {
		i, err := b.suite.start(cfg)
		if err != nil {
			return nil, err
		}
		if b.refs[k] != nil {
			*b.refs[k] = i
		}
		out = append(out, i)
	}
	return out, nil
}

// BuildOrFail is Build.
func (b *builder) BuildOrFail(t test.Failer) echo.Instances {
	t.Helper()
	out, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// start deploys an echo workload: the manifests are of Istio's own templates, and where a cluster
// would add addresses, pods and proxies, so does this.
func (s *suite) start(cfg echo.Config) (*instance, error) {
	cfg.Cluster = s.cluster
	if err := cfg.FillDefaults(nil); err != nil {
		return nil, err
	}
	i := &instance{suite: s, cfg: cfg}
	service, err := kube.GenerateService(cfg, false)
	if err != nil {
		return nil, err
	}
	if cfg.DeployAsVM {
		s.registerVM(i)
		return i, s.add(i, service)
	}
	workloads, err := kube.GenerateDeployment(nil, cfg, s.settings)
	if err != nil {
		return nil, err
	}
	return i, s.add(i, service+"\n---\n"+workloads)
}

// add puts a cluster's version of the documents among the manifests.
func (s *suite) add(i *instance, text string) error {
	for _, part := range yml.SplitString(text) {
		head := metav1.TypeMeta{}
		if err := yaml.Unmarshal([]byte(part), &head); err != nil {
			return err
		}
		var err error
		switch head.Kind {
		case "Service":
			err = s.addService(i, part)
		case "Deployment", "StatefulSet":
			err = s.addPods(i, head.Kind, part)
		default:
			if part, err = yml.ApplyNamespace(part, i.cfg.NamespaceName()); err == nil {
				s.base = append(s.base, part)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *suite) addService(i *instance, text string) error {
	service := &corev1.Service{}
	if err := yaml.UnmarshalStrict([]byte(text), service); err != nil {
		return err
	}
	service.Namespace = i.cfg.NamespaceName()
	if service.Spec.ClusterIP == "" {
		service.Spec.ClusterIP = s.nextClusterIP()
		i.clusterIP = service.Spec.ClusterIP
	}
	service.Spec.ClusterIPs = []string{service.Spec.ClusterIP}
	return s.write(service)
}

// addPods makes the pods of a Deployment or StatefulSet, injected as Istio's webhook would.
func (s *suite) addPods(i *instance, kind, text string) error {
	owner := &appsv1.Deployment{} // the fields that matter are the same in a StatefulSet
	if err := yaml.Unmarshal([]byte(text), owner); err != nil {
		return err
	}
	p := &corev1.Pod{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: *owner.Spec.Template.ObjectMeta.DeepCopy(),
		Spec:       owner.Spec.Template.Spec,
	}
	p.Namespace = i.cfg.NamespaceName()
	controls := true
	if kind == "StatefulSet" {
		p.Name = owner.Name + "-0"
		p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: kind, Name: owner.Name, Controller: &controls}}
	} else {
		const hash = "7d9c5b8f64"
		set := owner.Name + "-" + hash
		p.Name = set + "-x2b4z"
		p.Labels["pod-template-hash"] = hash
		p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: set, Controller: &controls}}
	}
	inject(p, i.cfg)
	p.Status = s.running()
	s.register(i, &workload{
		from: p.Namespace + "/pod/" + p.Name, name: p.Name, address: p.Status.PodIP,
		owner: fmt.Sprintf("%s %s/%s", kind, p.Namespace, owner.Name), pod: p, at: len(s.base),
	})
	return s.write(p)
}

// inject leaves the proxy in the pod where there is to be one. The template has a placeholder for it.
func inject(p *corev1.Pod, cfg echo.Config) {
	var containers []corev1.Container
	for _, c := range p.Spec.Containers {
		if c.Name != "istio-proxy" {
			containers = append(containers, c)
		}
	}
	if cfg.HasSidecar() && p.Annotations[annotation.SidecarInject.Name] != "false" && !cfg.IsProxylessGRPC() {
		containers = append(containers, corev1.Container{Name: "istio-proxy", Image: "proxyv2", Args: []string{"proxy", "sidecar"}})
		p.Labels["security.istio.io/tlsMode"] = "istio"
	}
	p.Spec.Containers = containers
}

// registerVM is what a virtual machine's agent does when it joins the mesh.
func (s *suite) registerVM(i *instance) {
	name, ip := i.cfg.Service+"-"+i.cfg.Subsets[0].Version+"-"+"vm", s.nextPodIP()
	s.base = append(s.base, fmt.Sprintf(`apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata:
  name: %s
  namespace: %s
spec:
  address: %s
  serviceAccount: %s
  labels:
    app: %s
    version: %s
`, name, i.cfg.NamespaceName(), ip, i.cfg.AccountName(), i.cfg.Service, i.cfg.Subsets[0].Version))
	s.register(i, &workload{
		from: i.cfg.NamespaceName() + "/workloadentry/" + name, name: name, address: ip,
		owner: "WorkloadEntry " + i.cfg.NamespaceName() + "/" + name,
	})
}

// running is the status of a pod that is up.
func (s *suite) running() corev1.PodStatus { return runningAt(s.nextPodIP()) }

func runningAt(ip string) corev1.PodStatus {
	return corev1.PodStatus{
		Phase: corev1.PodRunning, PodIP: ip, PodIPs: []corev1.PodIP{{IP: ip}},
		Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
	}
}

func (s *suite) register(i *instance, w *workload) {
	w.instance = i
	i.workloads = append(i.workloads, w)
	s.workloads = append(s.workloads, w)
}

func (s *suite) write(object any) error {
	text, err := yaml.Marshal(object)
	if err != nil {
		return err
	}
	s.base = append(s.base, strings.TrimSpace(string(text)))
	return nil
}

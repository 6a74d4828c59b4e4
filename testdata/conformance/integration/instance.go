//go:build integ

package integration

import (
	"context"
	"errors"
	"maps"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	admin "github.com/envoyproxy/go-control-plane/envoy/admin/v3"

	"istio.io/istio/pkg/test"
	echoclient "istio.io/istio/pkg/test/echo"
	"istio.io/istio/pkg/test/echo/proto"
	"istio.io/istio/pkg/test/framework/components/cluster"
	"istio.io/istio/pkg/test/framework/components/echo"
	"istio.io/istio/pkg/test/framework/components/echo/check"
	"istio.io/istio/pkg/test/framework/resource"
	"istio.io/istio/pkg/test/util/retry"
)

// instance is an echo service with its workloads.
type instance struct {
	suite     *suite
	cfg       echo.Config
	clusterIP string
	workloads []*workload
}

var _ echo.Instance = &instance{}

// CallOrFail hands the call over. What comes of it is for the judge to say, so that it never fails a test.
func (i *instance) CallOrFail(t test.Failer, o echo.CallOptions) echo.CallResult {
	t.Helper()
	if o.Check == nil {
		o.Check = check.OK()
	}
	if err := o.FillDefaults(); err != nil {
		t.Fatal(err)
	}
	return i.suite.call(t, i, i.workloads[0], o)
}

// Call is for callers that take errors; none of the tests does.
func (i *instance) Call(echo.CallOptions) (echo.CallResult, error) {
	return echo.CallResult{}, errors.New("the tests call by CallOrFail")
}

func (i *instance) ID() resource.ID                     { return resource.FakeID(i.cfg.Service) }
func (i *instance) Address() string                     { return i.clusterIP }
func (i *instance) Addresses() []string                 { return []string{i.clusterIP} }
func (i *instance) Instances() echo.Instances           { return echo.Instances{i} }
func (i *instance) Clusters() cluster.Clusters          { return cluster.Clusters{i.suite.cluster} }
func (i *instance) Config() echo.Config                 { return i.cfg }
func (i *instance) ServiceName() string                 { return i.cfg.Service }
func (i *instance) NamespaceName() string               { return i.cfg.NamespaceName() }
func (i *instance) NamespacedName() echo.NamespacedName { return i.cfg.NamespacedName() }
func (i *instance) SpiffeIdentity() string              { return i.cfg.SpiffeIdentity() }
func (i *instance) ClusterLocalFQDN() string            { return i.cfg.ClusterLocalFQDN() }
func (i *instance) ClusterSetLocalFQDN() string         { return i.cfg.ClusterSetLocalFQDN() }
func (i *instance) PortForName(name string) echo.Port   { return i.cfg.Ports.MustForName(name) }

// Workloads are the pods, or the virtual machine.
func (i *instance) Workloads() (echo.Workloads, error) { return i.MustWorkloads(), nil }

// WorkloadsOrFail is Workloads.
func (i *instance) WorkloadsOrFail(test.Failer) echo.Workloads { return i.MustWorkloads() }

// MustWorkloads is Workloads.
func (i *instance) MustWorkloads() echo.Workloads {
	var out echo.Workloads
	for _, w := range i.workloads {
		out = append(out, w)
	}
	return out
}

// WithWorkloads is the instance with some of its workloads.
func (i *instance) WithWorkloads(some ...echo.Workload) echo.Instance {
	out := *i
	out.workloads = nil
	for _, w := range some {
		if w, ok := w.(*workload); ok {
			out.workloads = append(out.workloads, w)
		}
	}
	return &out
}

var errFixed = errors.New("workloads are as they are")

// Restart is not for manifests.
func (i *instance) Restart() error { return errFixed }

// UpdateWorkloadLabel changes the labels of the pods.
func (i *instance) UpdateWorkloadLabel(add map[string]string, remove []string) error {
	for _, w := range i.workloads {
		if w.pod == nil {
			return errFixed
		}
		maps.Copy(w.pod.Labels, add)
		for _, k := range remove {
			delete(w.pod.Labels, k)
		}
		text, err := yaml.Marshal(w.pod)
		if err != nil {
			return err
		}
		i.suite.base[w.at] = strings.TrimSpace(string(text))
	}
	return nil
}

// workload is a pod or a virtual machine.
type workload struct {
	instance *instance
	// from names it as a source; owner as the trace does a destination.
	from, owner   string
	name, address string
	// pod is nil for a machine; at is where it stands among the manifests of the deployments.
	pod *corev1.Pod
	at  int
}

func (w *workload) PodName() string               { return w.name }
func (w *workload) Address() string               { return w.address }
func (w *workload) Addresses() []string           { return []string{w.address} }
func (w *workload) Cluster() cluster.Cluster      { return w.instance.suite.cluster }
func (w *workload) Sidecar() echo.Sidecar         { return dump{} }
func (w *workload) Logs() (string, error)         { return "", errors.New("nothing runs") }
func (w *workload) LogsOrFail(test.Failer) string { return "" }

// ForwardEcho is not for manifests.
func (w *workload) ForwardEcho(context.Context, *proto.ForwardEchoRequest) (echoclient.Responses, error) {
	return nil, errors.New("nothing runs")
}

// dump is a sidecar whose configuration a test asks for: that is not a trace's to tell.
type dump struct{ echo.Sidecar }

const askedForDump = "the test reads an Envoy's config dump"

// WaitForConfigOrFail leaves the test.
func (dump) WaitForConfigOrFail(t test.Failer, _ func(*admin.ConfigDump) (bool, error), _ ...retry.Option) {
	t.Skip(askedForDump)
}

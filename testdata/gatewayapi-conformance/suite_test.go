package gatewayapi

import (
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	k8sgateway "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/gateway-api/conformance"
	"sigs.k8s.io/gateway-api/conformance/tests"
	"sigs.k8s.io/gateway-api/conformance/utils/config"
	"sigs.k8s.io/gateway-api/conformance/utils/suite"
	"sigs.k8s.io/gateway-api/pkg/features"
)

// newSuite is the suite as Istio runs it, with the tracer for a network.
func newSuite(t *testing.T) *suite.ConformanceTestSuite {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/gateway-api").Output()
	if err != nil {
		t.Fatal(err)
	}
	cluster, err := NewCluster(filepath.Join(strings.TrimSpace(string(dir)), "config", "crd", "experimental"))
	if err != nil {
		t.Fatal(err)
	}
	class := &k8sgateway.GatewayClass{ObjectMeta: metav1.ObjectMeta{Name: "istio"}, Spec: k8sgateway.GatewayClassSpec{ControllerName: controller}}
	if err := cluster.Client.Create(t.Context(), class); err != nil {
		t.Fatal(err)
	}
	player := NewPlayer(cluster)
	server, sockets, dialer := PodServer{player}.Start(), NewSockets(player), NewWebSocketDialer(player)
	for _, end := range []func(){server.Close, sockets.Close, dialer.Server.Close} {
		t.Cleanup(end)
	}
	connection := &rest.Config{Host: server.URL}
	clientset, err := kubernetes.NewForConfig(connection)
	if err != nil {
		t.Fatal(err)
	}
	hostname := k8sgateway.HostnameAddressType
	s, err := suite.NewConformanceTestSuite(suite.ConformanceOptions{
		ConfigurableOptions: suite.ConfigurableOptions{
			GatewayClassName: "istio", SupportedFeatures: features.SetsToNamesSet(features.AllFeatures).UnsortedList(),
			NamespaceLabels: map[string]string{"istio-injection": "enabled"}, CleanupTestResources: true, TimeoutConfig: patience(),
			UsableNetworkAddresses:   []k8sgateway.GatewaySpecAddress{{Type: &hostname, Value: "infra-backend-v1.gateway-conformance-infra.svc.cluster.local"}},
			UnusableNetworkAddresses: []k8sgateway.GatewaySpecAddress{{Type: &hostname, Value: "foo"}},
		},
		Client: cluster.Client, Clientset: clientset, RestConfig: connection,
		RoundTripper: RoundTripper{player}, GRPCClient: GRPCClient{player}, WebSocketDialer: dialer, ManifestFS: []fs.FS{&conformance.Manifests},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Setup(t, tests.ConformanceTests)
	return s
}

// patience is short: what the tracer says does not change with time. It is there for busy machines, where tests that are to fail
// need none.
func patience() config.TimeoutConfig {
	c := config.DefaultTimeoutConfig()
	short := 8 * time.Second
	if os.Getenv(skipped) != "" {
		short = 1500 * time.Millisecond
	}
	for _, d := range []*time.Duration{
		&c.GatewayMustHaveAddress, &c.GatewayMustHaveCondition, &c.GatewayStatusMustHaveListeners, &c.GatewayListenersMustHaveConditions,
		&c.ListenerSetMustHaveCondition, &c.ListenerSetListenersMustHaveConditions, &c.GWCMustBeAccepted, &c.HTTPRouteMustNotHaveParents,
		&c.HTTPRouteMustHaveCondition, &c.TLSRouteMustHaveCondition, &c.TCPRouteMustHaveCondition, &c.UDPRouteMustHaveCondition, &c.RouteMustHaveParents,
		&c.MaxTimeToConsistency, &c.NamespacesMustBeReady, &c.RequestTimeout, &c.LatestObservedGenerationSet, &c.DefaultTestTimeout,
	} {
		*d = short
	}
	c.DefaultPollInterval, c.RequiredConsecutiveSuccesses = 20*time.Millisecond, 1
	return c
}

// skipped names tests that are left out, to be run instead of the others.
const skipped = "GATEWAY_API_RUN_SKIPPED"

// processes is how many run tests that are left out: these spend their time waiting.
const processes = 8

// TestSuite runs the tests of the suite, and holds what came of each against report.md.
func TestSuite(t *testing.T) {
	skips, err := ReadSkips("skips.yaml")
	if err != nil {
		t.Fatal(err)
	}
	asked := strings.Split(os.Getenv(skipped), ",")
	var passed sync.Map // tests may run side by side
	t.Cleanup(func() {
		if asked[0] == "" && !t.Failed() {
			reported(t, report(&passed, skips))
		}
	})
	s := newSuite(t)
	for _, test := range sortedTests() {
		if _, skip := skips[test.ShortName]; skip && !slices.Contains(asked, test.ShortName) || !skip && asked[0] != "" {
			continue
		}
		t.Run(test.ShortName, func(t *testing.T) {
			t.Cleanup(func() { passed.Store(test.ShortName, !t.Failed()) })
			test.Run(t, s)
		})
	}
}

func sortedTests() []suite.ConformanceTest {
	return slices.SortedFunc(slices.Values(tests.ConformanceTests), func(a, b suite.ConformanceTest) int {
		return strings.Compare(a.ShortName, b.ShortName)
	})
}

// TestSkipsAreNeeded runs the tests that are left out, each of which has to fail, in processes of their own.
func TestSkipsAreNeeded(t *testing.T) {
	if os.Getenv(skipped) != "" {
		t.Skip("this is a process of its own")
	}
	skips, err := ReadSkips("skips.yaml")
	if err != nil {
		t.Fatal(err)
	}
	names := slices.Sorted(maps.Keys(skips))
	shares := make([][]string, processes)
	for i, name := range names {
		if !slices.ContainsFunc(tests.ConformanceTests, func(test suite.ConformanceTest) bool { return test.ShortName == name }) {
			t.Errorf("skips.yaml names %s, which the suite does not have", name)
		}
		shares[i%processes] = append(shares[i%processes], name)
	}
	var running sync.WaitGroup
	for _, share := range shares {
		running.Go(func() { mustFail(t, share) })
	}
	running.Wait()
}

func mustFail(t *testing.T, names []string) {
	program, err := os.Executable()
	if err != nil {
		t.Error(err)
		return
	}
	command := exec.CommandContext(t.Context(), program, "-test.run", "^TestSuite$", "-test.v")
	command.Env = append(os.Environ(), skipped+"="+strings.Join(names, ","))
	output, _ := command.CombinedOutput() // it fails: so do its tests
	for _, name := range names {
		switch {
		case strings.Contains(string(output), "    --- PASS: TestSuite/"+name+" "):
			t.Errorf("%s passes: take it out of skips.yaml", name)
		case !strings.Contains(string(output), "    --- FAIL: TestSuite/"+name+" "):
			t.Errorf("%s has not run", name)
		}
	}
}

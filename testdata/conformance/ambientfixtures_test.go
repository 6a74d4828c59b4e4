package conformance

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestAmbientPolicies holds requests to captured pods against Istio where policies stand in their way that Istio's own tests of
// its ambient index convert for ztunnel, each file with the workloads and the namespaces that it names.
func TestAmbientPolicies(t *testing.T) {
	c := begin(t, "Istio's tests of policies for ztunnel: requests")
	paths, err := filepath.Glob(filepath.Join(samplesFolder(t), "..", "pilot", "pkg", "serviceregistry", "ambient", "testdata", "*-in.yaml"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(filepath.Base(path), "-in.yaml")
		t.Run(name, func(t *testing.T) {
			namespace := homeOf(string(text))
			b, refused := newBench(t, t.TempDir(), map[string]string{"fixture.yaml": string(text), "beside.yaml": ambientBeside(namespace)}, "default")
			for _, from := range []string{namespace + "/pod/a", namespace + "/pod/web", "outer/pod/plain", "ns/pod/sa"} {
				for _, port := range []int{80, 8080, 9090, 91} {
					args := []string{"--from", from, fmt.Sprintf("tcp://a.%s:%d", namespace, port)}
					diff, err := "", refused
					if err == nil {
						diff, err = b.judge(args)
					}
					c.record(t, name, strings.Join(args, " "), diff, err)
				}
			}
		})
	}
}

var fixtureHome = regexp.MustCompile(`(?m)^  namespace: (\S+)$`)

// homeOf is the namespace of the last resource that is not in the root namespace.
func homeOf(fixture string) string {
	home := "default"
	for _, m := range fixtureHome.FindAllStringSubmatch(fixture, -1) {
		if m[1] != "istio-system" {
			home = m[1]
		}
	}
	return home
}

// ambientBeside are pods that ztunnel has captured and one that it has not, with a Service for the ports that the fixtures name.
func ambientBeside(namespace string) string {
	var docs []string
	for i, p := range []struct{ namespace, name, annotations string }{
		{namespace, "a", ", annotations: {ambient.istio.io/redirection: enabled}"},
		{namespace, "web", ", annotations: {ambient.istio.io/redirection: enabled}"},
		{"ns", "sa", ", annotations: {ambient.istio.io/redirection: enabled}"},
		{"outer", "plain", ""},
	} {
		docs = append(docs, fmt.Sprintf("apiVersion: v1\nkind: Pod\nmetadata: {name: %s, namespace: %s, labels: {app: %s}%s}\nspec: {serviceAccountName: %s, containers: [{name: app, image: app}]}\nstatus: {phase: Running, podIP: 10.244.3.%d, podIPs: [{ip: 10.244.3.%d}], conditions: [{type: Ready, status: \"True\"}]}\n",
			p.name, p.namespace, p.name, p.annotations, p.name, i+1, i+1))
	}
	for _, name := range []string{namespace, "ns", "outer", "istio-system"} {
		docs = append(docs, fmt.Sprintf("apiVersion: v1\nkind: Namespace\nmetadata: {name: %s}\n", name))
	}
	docs = append(docs, object("v1", "Service", namespace, "a", "spec: {selector: {app: a}, ports: [{name: tcp-1, port: 80}, {name: tcp-2, port: 8080}, {name: tcp-3, port: 9090}, {name: tcp-4, port: 91}]}"))
	return strings.Join(docs, "---\n")
}

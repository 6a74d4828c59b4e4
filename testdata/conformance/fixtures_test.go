package conformance

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// The inputs of Istio's own tests of its Gateway API controller, read from its module. The Services, Secrets and ConfigMaps that
// the tests have beside them are read from the Go source of the tests.

// gatewayFixtures are the files and what stands beside each of them.
func gatewayFixtures(t *testing.T) map[string]map[string]string {
	t.Helper()
	folder := filepath.Join(samplesFolder(t), "..", "pilot", "pkg", "config", "kube", "gateway")
	source, err := os.ReadFile(filepath.Join(folder, "conversion_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	beside := fixtureServices(string(source)) + "---\n" + fixtureCertificates(t, source)
	paths, err := filepath.Glob(filepath.Join(folder, "testdata", "*.yaml"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no fixtures in %s: %v", folder, err)
	}
	out := map[string]map[string]string{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		fixture := strings.ReplaceAll(string(text), "domain.suffix", "cluster.local")
		// An API server refuses a name in capitals.
		fixture = regexp.MustCompile(`(?m)^  name: .*$`).ReplaceAllStringFunc(fixture, strings.ToLower)
		out[strings.TrimSuffix(filepath.Base(path), ".yaml")] = map[string]string{
			"fixture.yaml": fixture, "beside.yaml": beside, "namespaces.yaml": fixtureNamespaces(fixture, beside),
		}
	}
	return out
}

var fixtureHost = regexp.MustCompile(`Hostname:\s+"([a-z0-9-]+)\.([a-z0-9-]+)\.svc\.domain\.suffix"`)

// fixtureServices are the Services, with one workload in each namespace behind all of them, and the gateway; those that have no
// name of the cluster are ServiceEntries.
func fixtureServices(source string) string {
	var docs []string
	for _, m := range fixtureHost.FindAllStringSubmatch(source, -1) {
		https := ""
		if m[1] == "istio-ingressgateway" {
			https = ", {name: https, port: 443}"
		}
		app := "any"
		if m[1] == "istio-ingressgateway" {
			app = "gateway"
		}
		docs = append(docs, object("v1", "Service", m[2], m[1], "spec: {selector: {app: "+app+"}, ports: [{name: http, port: 80}"+https+", {name: tcp, port: 34000}, {name: tcp-other, port: 34001}]}"))
	}
	workloads := map[string]string{}
	for _, m := range fixtureHost.FindAllStringSubmatch(source, -1) {
		workloads[m[2]] = object("apps/v1", "Deployment", m[2], "any", "spec: {selector: {matchLabels: {app: any}}, template: {metadata: {labels: {app: any}}, spec: {containers: [{name: app, image: app}]}}}")
	}
	for _, namespace := range slices.Sorted(maps.Keys(workloads)) {
		docs = append(docs, workloads[namespace])
	}
	docs = append(docs, object("apps/v1", "Deployment", "istio-system", "istio-ingressgateway",
		"spec: {selector: {matchLabels: {app: gateway}}, template: {metadata: {labels: {app: gateway, istio: ingressgateway}}, spec: {containers: [{name: istio-proxy, image: istio/proxyv2:1.31.0, args: [proxy, router]}]}}}"))
	for _, e := range []struct{ host, namespace string }{{"example.com", "istio-system"}, {"google.com", "default"}} {
		docs = append(docs, object("networking.istio.io/v1", "ServiceEntry", e.namespace, strings.ReplaceAll(e.host, ".", "-"),
			"spec: {hosts: ["+e.host+"], ports: [{name: http, number: 80, protocol: HTTP}, {name: tcp, number: 34000, protocol: TCP}, {name: tcp-other, number: 34001, protocol: TCP}], resolution: DNS}"))
	}
	for i, d := range docs { // of two of one age istiod takes whichever it has read first: these are younger than the fixtures
		docs[i] = strings.Replace(d, "}\n", ", creationTimestamp: \"2026-06-01T00:00:00Z\"}\n", 1)
	}
	return strings.Join(docs, "---\n")
}

// fixtureCertificates are the Secrets and ConfigMaps.
func fixtureCertificates(t *testing.T, source []byte) string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "conversion_test.go", source, 0)
	if err != nil {
		t.Fatal(err)
	}
	constants := map[string]string{}
	var docs []string
	ast.Inspect(file, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok && len(v.Names) == 1 && len(v.Values) == 1 {
			if text, ok := literal(v.Values[0], constants); ok {
				constants[v.Names[0].Name] = text
			}
		}
		made, ok := n.(*ast.CompositeLit)
		if !ok {
			return true
		}
		kind, ok := made.Type.(*ast.SelectorExpr)
		if !ok || kind.Sel.Name != "Secret" && kind.Sel.Name != "ConfigMap" {
			return true
		}
		docs = append(docs, certificate(t, kind.Sel.Name, made, constants))
		return false
	})
	if len(docs) < 10 {
		t.Fatalf("conversion_test.go has but %d Secrets and ConfigMaps", len(docs))
	}
	return strings.Join(docs, "---\n")
}

func certificate(t *testing.T, kind string, made *ast.CompositeLit, constants map[string]string) string {
	t.Helper()
	meta := metav1.ObjectMeta{}
	data := map[string]string{}
	ast.Inspect(made, func(n ast.Node) bool {
		pair, ok := n.(*ast.KeyValueExpr)
		if !ok {
			return true
		}
		value := pair.Value
		if call, ok := value.(*ast.CallExpr); ok && len(call.Args) == 1 {
			value = call.Args[0]
		}
		text, ok := literal(value, constants)
		if !ok {
			return true
		}
		key, named := pair.Key.(*ast.Ident)
		switch {
		case named && key.Name == "Name":
			meta.Name = text
		case named && key.Name == "Namespace":
			meta.Namespace = text
		default:
			if field, ok := literal(pair.Key, constants); ok {
				data[field] = text
			}
		}
		return true
	})
	var o any = &corev1.ConfigMap{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: kind}, ObjectMeta: meta, Data: data}
	if kind == "Secret" {
		secret := &corev1.Secret{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: kind}, ObjectMeta: meta, Data: map[string][]byte{}}
		for k, v := range data {
			secret.Data[k] = []byte(v)
		}
		o = secret
	}
	out, err := yaml.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func literal(e ast.Expr, constants map[string]string) (string, bool) {
	switch x := e.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(x.Value)
		return text, err == nil && x.Kind == token.STRING
	case *ast.Ident:
		text, ok := constants[x.Name]
		return text, ok
	}
	return "", false
}

var fixtureNamespace = regexp.MustCompile(`(?m)(?:^  |, )namespace: "?([a-z0-9-]+)"?[,}\n]`)

// fixtureNamespaces are labelled as the tests label them.
func fixtureNamespaces(fixture, beside string) string {
	var names, docs []string
	for _, m := range fixtureNamespace.FindAllStringSubmatch(fixture+"\n"+beside, -1) {
		if !slices.Contains(names, m[1]) && !strings.Contains(fixture, "kind: Namespace\nmetadata:\n  name: "+m[1]+"\n") {
			names = append(names, m[1])
			first, _, _ := strings.Cut(m[1], "-")
			docs = append(docs, fmt.Sprintf("apiVersion: v1\nkind: Namespace\nmetadata: {name: %s, labels: {istio-injection: enabled, istio.io/test-name-part: %s}}\n", m[1], first))
		}
	}
	return strings.Join(docs, "---\n")
}

// TestGatewayFixtures holds what the tracer makes of the inputs of Istio's tests, and of requests that they suggest,
// against what pilot makes of them.
func TestGatewayFixtures(t *testing.T) {
	c, requests := begin(t, "Istio's tests of Gateway API conversion"), begin(t, "Istio's tests of Gateway API conversion: requests")
	fixtures := gatewayFixtures(t)
	for _, name := range slices.Sorted(maps.Keys(fixtures)) {
		t.Run(name, func(t *testing.T) {
			diff := ""
			b, err := newBench(t, t.TempDir(), fixtures[name], "default")
			if err == nil {
				diff, err = b.conversion()
			}
			c.record(t, name, name, diff, err)
			if err != nil {
				return
			}
			for _, args := range derivedFromRoutes(b.mesh.cluster) {
				diff, err := outcome(b, args)
				requests.record(t, name, strings.Join(args, " "), diff, err)
			}
		})
	}
}

// TestIngressFixtures holds requests that the inputs of Istio's tests of its Ingress controller suggest against pilot.
func TestIngressFixtures(t *testing.T) {
	c := begin(t, "Istio's tests of Ingress conversion: requests")
	paths, err := filepath.Glob(filepath.Join(samplesFolder(t), "..", "pilot", "pkg", "config", "kube", "ingress", "testdata", "*.yaml"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".yaml")
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			b, err := newBench(t, t.TempDir(), map[string]string{"fixture.yaml": string(text), "mesh-config.yaml": "ingressControllerMode: DEFAULT", "beside.yaml": ingressServices(string(text))}, "default")
			if err != nil {
				c.record(t, name, name, "", err)
				return
			}
			for _, args := range derivedFromRoutes(b.mesh.cluster) {
				diff, err := outcome(b, args)
				c.record(t, name, strings.Join(args, " "), diff, err)
			}
		})
	}
}

var ingressService = regexp.MustCompile(`name: (service[0-9]+)`)

// ingressServices are the Services that the Ingresses name, with every port that they name.
func ingressServices(fixture string) string {
	var ports []string
	for i := range 12 {
		ports = append(ports, fmt.Sprintf("{name: http-%d, port: %d}", i, 4200+i))
	}
	docs := []string{
		"apiVersion: v1\nkind: Namespace\nmetadata: {name: ns, labels: {istio-injection: enabled}}\n",
		object("apps/v1", "Deployment", "ns", "any", "spec: {selector: {matchLabels: {app: any}}, template: {metadata: {labels: {app: any}}, spec: {containers: [{name: app, image: app}]}}}"),
	}
	for _, m := range ingressService.FindAllStringSubmatch(fixture, -1) {
		docs = append(docs, object("v1", "Service", "ns", m[1], "spec: {selector: {app: any}, ports: "+list(ports)+"}"))
	}
	return strings.Join(distinct(docs), "---\n")
}

package cmd

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mesh-trace/kubectl-mesh-trace/cmd/load/loadtest"
)

// completed are the choices and the directive that kubectl gets of the words.
func completed(t *testing.T, s *loadtest.Server, words ...string) []string {
	t.Helper()
	r := fromCluster(t, s, slices.Insert(words, 0, "__complete")...)
	if r.Code != 0 {
		t.Fatalf("%+v", r)
	}
	var out []string
	for line := range strings.Lines(r.Out) {
		out = append(out, strings.TrimSpace(line))
	}
	return out
}

// completionServer has one of each that completes a word.
func completionServer(t *testing.T) *loadtest.Server {
	s := loadtest.New(t)
	s.Apply(t, clusterMesh+`---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: istiod, namespace: istio-system}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge, namespace: istio-system}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: inner, namespace: shop}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web, namespace: shop}
spec: {hostnames: [shop.example.com]}
`)
	return s
}

func TestCompletionFromACluster(t *testing.T) {
	for _, tc := range []struct {
		name, words, want string
		// requests is how many questions the answer took.
		requests int
	}{
		{"hosts", "|", "reviews.shop:9080 reviews:9080 shop.example.com :6", 7},
		{"sources of the namespace, and where there are more", "--from|", "deployment/web external istio-system/ pod/reviews-1 pod/web-1 :6", 8},
		{"sources of a kind", "--from|deployment/", "deployment/web :4", 7},
		{"sources of another namespace", "--from|istio-system/", "istio-system/deployment/istiod :4", 7},
		{"objects of a kind", "explain|gw/", "gw/inner :4", 2},
		{"objects of a kind in another namespace", "explain|istio-system/gateway/e", "istio-system/gateway/edge :4", 2},
		{"objects of a kind with its group", "explain|gateway.gateway.networking.k8s.io/", "gateway.gateway.networking.k8s.io/inner :4", 2},
		{"kinds in a namespace", "explain|shop/ht", "shop/httproute/ :6", 0},
		{"workloads of a kind", "explain|deployment/", "deployment/web :4", 7},
		{"workloads of another namespace", "explain|istio-system/deployment/", "istio-system/deployment/istiod :4", 7},
		{"hosts behind a scheme", "explain|http://s", "http://shop.example.com :6", 7},
		{"gateways", "--gateway|", "inner istio-system/edge shop/inner :4", 2},
		{"namespaces", "-n|", "istio-system shop :4", 1},
		{"namespaces of istiod", "-i|i", "istio-system :4", 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := completionServer(t)
			if diff := cmp.Diff(strings.Fields(tc.want), completed(t, s, strings.Split(strings.TrimPrefix(tc.words, "|"), "|")...)); diff != "" {
				t.Error(diff)
			}
			if got := s.Requests(); len(got) != tc.requests {
				t.Errorf("%d requests, want %d: %q", len(got), tc.requests, got)
			}
		})
	}
}

// What is forbidden or broken is not offered, and says nothing on the prompt.
func TestCompletionOfWhatMayBeRead(t *testing.T) {
	s := completionServer(t)
	s.Refuse("/apis/networking.istio.io/v1/gateways", http.StatusForbidden)
	s.Refuse("/apis/networking.istio.io/v1/namespaces/shop/gateways", http.StatusForbidden)
	if diff := cmp.Diff([]string{"inner", "shop/inner", ":4"}, completed(t, s, "--gateway", "")); diff != "" {
		t.Error(diff)
	}
	s.Close()
	if diff := cmp.Diff([]string{":4"}, completed(t, s, "--gateway", "")); diff != "" {
		t.Error(diff)
	}
}

// A list that does not come keeps the others from nobody, and the prompt no longer than the limit.
func TestCompletionWithoutTheListThatHangs(t *testing.T) {
	s := completionServer(t)
	s.Answer = func(_ http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/apis/networking.istio.io/v1/gateways" {
			<-r.Context().Done() // the client gives up first: a server that waited for it would never answer
			return true
		}
		return false
	}
	if diff := cmp.Diff([]string{"inner", "shop/inner", ":4"}, completed(t, s, "--gateway", "")); diff != "" {
		t.Error(diff)
	}
}

func TestCompletionFromTheKubeconfig(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config")
	const config = `{apiVersion: v1, kind: Config,
		contexts: [{name: prod, context: {cluster: east, user: ann}}, {name: dev, context: {cluster: west, user: ann}}],
		clusters: [{name: east, cluster: {server: "https://e"}}, {name: west, cluster: {server: "https://w"}}],
		users: [{name: ann, user: {}}]}`
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(config, "\t", " ")), 0o600); err != nil {
		t.Fatal(err)
	}
	for flag, want := range map[string]string{
		"--context": "dev\nprod\n:4\n", "--cluster": "east\nwest\n:4\n", "--user": "ann\n:4\n", "--remote-context": "dev\nprod\n:4\n",
	} {
		if r := runWith(t, Deps{}, "__complete", "--kubeconfig", file, flag, ""); r.Out != want {
			t.Errorf("%s: %+v", flag, r)
		}
	}
	if r := runWith(t, Deps{}, "__complete", "--kubeconfig", file, "--context", "dev", "--context", "p"); r.Out != "prod\n:4\n" {
		t.Errorf("a second context: %+v", r)
	}
	if r := runWith(t, Deps{}, "__complete", "--kubeconfig", file, "--remote-context", "east=p"); r.Out != "east=prod\n:4\n" {
		t.Errorf("a context with an id: %+v", r)
	}
}

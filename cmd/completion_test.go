package cmd

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	networkingapi "istio.io/api/networking/v1alpha3"
	networking "istio.io/client-go/pkg/apis/networking/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingk8s "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/kubernetes/scheme"
	k8sgateway "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/mesh-trace/kubectl-mesh-trace/cmd/load"
	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// typesOfMesh knows the kinds of the objects that the tests make.
var typesOfMesh = func() *runtime.Scheme {
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{scheme.AddToScheme, networking.AddToScheme, k8sgateway.Install} {
		utilruntime.Must(add(s))
	}
	return s
}()

func inputOf(objects ...resolve.Object) resolve.Input {
	var in resolve.Input
	for _, o := range objects {
		gvks, _, _ := typesOfMesh.ObjectKinds(o)
		in.Resources = append(in.Resources, resolve.Sourced{Object: o, GroupKind: gvks[0].GroupKind()})
	}
	return in
}

func named(namespace, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: namespace, Name: name}
}

func shop() resolve.Input {
	owned := named("shop", "web-1")
	isController := true
	owned.OwnerReferences = []metav1.OwnerReference{{Kind: "ReplicaSet", Name: "web", Controller: &isController}}
	return inputOf(
		&corev1.Namespace{ObjectMeta: named("", "empty")},
		&corev1.Service{ObjectMeta: named("shop", "reviews"), Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 9080}}}},
		&corev1.Service{ObjectMeta: named("shop", "web"), Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 9090}, {Port: 80}}}},
		&corev1.Service{ObjectMeta: named("other", "headless")},
		&networking.VirtualService{ObjectMeta: named("shop", "vs"), Spec: networkingapi.VirtualService{Hosts: []string{"reviews", "shop.example.com", "*.example.com"}}},
		&networking.ServiceEntry{ObjectMeta: named("shop", "se"), Spec: networkingapi.ServiceEntry{Hosts: []string{"api.example.org"}}},
		&networking.Gateway{ObjectMeta: named("istio-ingress", "public")},
		&k8sgateway.Gateway{ObjectMeta: named("shop", "inner")},
		&k8sgateway.HTTPRoute{ObjectMeta: named("shop", "r"), Spec: k8sgateway.HTTPRouteSpec{Hostnames: []k8sgateway.Hostname{"http.example.com"}}},
		&k8sgateway.GRPCRoute{ObjectMeta: named("shop", "g"), Spec: k8sgateway.GRPCRouteSpec{Hostnames: []k8sgateway.Hostname{"grpc.example.com"}}},
		&networkingk8s.Ingress{ObjectMeta: named("shop", "i"), Spec: networkingk8s.IngressSpec{Rules: []networkingk8s.IngressRule{{Host: "old.example.com"}}}},
		&appsv1.Deployment{ObjectMeta: named("shop", "web")},
		&appsv1.Deployment{ObjectMeta: named("other", "job-runner")},
		&appsv1.StatefulSet{ObjectMeta: named("shop", "db")},
		&appsv1.DaemonSet{ObjectMeta: named("shop", "agent")},
		&corev1.ServiceAccount{ObjectMeta: named("shop", "web")},
		&corev1.Pod{ObjectMeta: owned},
		&corev1.Pod{ObjectMeta: named("shop", "debug")},
	)
}

func TestCompletion(t *testing.T) {
	for _, tc := range []struct {
		name string
		args []string
		// want are the choices, directive included.
		want string
	}{
		{"subcommands without anything typed", []string{"co"}, "codes completion :4"},
		{"hosts", []string{"-n", "shop", "-f", "x", ""}, "api.example.org grpc.example.com headless.other http.example.com old.example.com reviews.shop:9080 reviews:9080 shop.example.com web web.shop :6"},
		{"hosts as typed so far", []string{"-n", "shop", "-f", "x", "rev"}, "reviews.shop:9080 reviews:9080 :6"},
		{"hosts behind a scheme", []string{"-n", "shop", "-f", "x", "https://shop"}, "https://shop.example.com :6"},
		{"no second host", []string{"-f", "x", "reviews", ""}, ":4"},
		{"sources", []string{"-n", "shop", "-f", "x", "--from", ""}, "daemonset/agent deployment/web external other/deployment/job-runner pod/debug serviceaccount/web statefulset/db :4"},
		{"gateways", []string{"-n", "shop", "-f", "x", "--gateway", ""}, "inner istio-ingress/public shop/inner :4"},
		{"namespaces", []string{"-f", "x", "-n", ""}, "empty other shop :4"},
		{"namespaces of istiod", []string{"-f", "x", "-i", "e"}, "empty :4"},
		{"contexts without a kubeconfig", []string{"--context", ""}, ":4"},
		{"formats", []string{"-o", "w"}, "wide :4"},
		{"details", []string{"--explain", ""}, "none fails full :4"},
		{"colours", []string{"--color=a"}, "auto always :4"},
		{"methods", []string{"-X", "P"}, "POST PUT PATCH :4"},
		{"releases", []string{"--istio-version", ""}, resolve.NewestRelease + " :4"},
		{"nothing from stdin", []string{"-f", "-", ""}, ":4"},
		{"formats of a subcommand", []string{"codes", "-o", ""}, "json yaml :4"},
		{"shells", []string{"completion", "k"}, "kubectl :4"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got called
			r := runWith(t, fake(&got, shop(), fate(trace.Delivered)), append([]string{"__complete"}, tc.args...)...)
			var choices []string
			for line := range strings.Lines(r.Out) {
				choice, _, _ := strings.Cut(strings.TrimSpace(line), "\t")
				choices = append(choices, choice)
			}
			if diff := cmp.Diff(strings.Fields(tc.want), choices); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// kubectl runs the completer by its own name.
func TestCompleterByName(t *testing.T) {
	var got called
	streams, _, out, _ := genericiooptions.NewTestIOStreams()
	code := run(t.Context(), []string{"/usr/local/bin/kubectl_complete-mesh_trace", "--explain", "fu"}, streams, Build{}, fake(&got, resolve.Input{}, nil))
	if diff := cmp.Diff("full\n:4\n", out.String()); diff != "" || code != 0 {
		t.Error(code, diff)
	}
}

// A cluster that does not answer must not keep the prompt.
func TestCompletionGivesUp(t *testing.T) {
	var got called
	deps := fake(&got, resolve.Input{}, nil)
	release := make(chan struct{})
	defer close(release)
	deps.Manifests = func(load.ManifestOptions) (resolve.Input, error) { <-release; return resolve.Input{}, nil }
	begin := time.Now()
	r := runWith(t, deps, "__complete", "-f", "x", "")
	if r.Out != ":4\n" || time.Since(begin) > 2*completionLimit {
		t.Errorf("%+v after %v", r, time.Since(begin))
	}
}

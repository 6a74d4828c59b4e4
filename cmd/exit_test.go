package cmd

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// refused is the error of a real connection to a port nobody listens on.
func refused(t *testing.T) (string, error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	_, err = http.Get("http://" + address)
	return address, err
}

// hanging is the error of a server that does not answer in time.
func hanging(t *testing.T) (string, error) {
	t.Helper()
	done := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-done }))
	t.Cleanup(func() { close(done); server.Close() })
	client := http.Client{Timeout: 20 * time.Millisecond}
	_, err := client.Get(server.URL)
	return strings.TrimPrefix(server.URL, "http://"), err
}

func TestExit(t *testing.T) {
	nobody, connection := refused(t)
	slow, timeout := hanging(t)
	untrusted := &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}
	for _, tc := range []struct {
		name string
		err  error
		code int
		want string
	}{
		{"nothing wrong", nil, 0, ""},
		{"not delivered", errNotDelivered, 3, ""},
		{"usage", usagef("no such flag"), 2, "error: no such flag\nsee 'kubectl mesh-trace --help'\n"},
		{"wrapped usage", fmt.Errorf("case 1: %w", usagef("no such flag")), 2, "error: case 1: no such flag\nsee 'kubectl mesh-trace --help'\n"},
		{"a refused input", &trace.InputError{Input: trace.InputFrom, Problem: "is odd"}, 2, "error: from is odd\nsee 'kubectl mesh-trace --help'\n"},
		{"interrupted", fmt.Errorf("list: %w", context.Canceled), 1, "error: interrupted\n"},
		{"no kubeconfig", errNoKubeconfig, 1, "error: no cluster to read: no kubeconfig was found; name one with --kubeconfig, or read manifests with -f (test: --manifests)\n"},
		{"unauthorised", fmt.Errorf("discovery: %w", apierrors.NewUnauthorized("x")), 1, "error: the cluster does not accept your credentials (401 Unauthorized); log in again, or choose others with --context or --user\n"},
		{
			"forbidden", apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "", errors.New("no")), 1,
			"error: you may not read what a trace needs: pods is forbidden: no; docs/rbac.yaml has the permissions\n",
		},
		{"connection refused", connection, 1, "error: the API server " + nobody + " refuses connections; is the cluster up, and is it the one you mean (--context)?\n"},
		{"no answer", timeout, 1, "error: the API server " + slow + " did not answer in time; is the network up, or --request-timeout too short?\n"},
		{"a deadline", context.DeadlineExceeded, 1, "error: the API server did not answer in time; is the network up, or --request-timeout too short?\n"},
		{
			"no such name", &url.Error{Op: "Get", URL: "https://nowhere.example:6443/api", Err: &net.DNSError{Err: "no such host", Name: "nowhere.example"}}, 1,
			"error: the name of the API server nowhere.example:6443 can not be resolved; are you on its network, and is it the cluster you mean (--context)?\n",
		},
		{"an untrusted certificate", untrusted, 1, "error: the API server's certificate is not trusted: tls: failed to verify certificate: x509: certificate signed by unknown authority; --certificate-authority names what to trust\n"},
		{"anything else", errors.New("disk on fire"), 1, "error: disk on fire\n"},
		{"an escape sequence", errors.New("name \x1b[31mred"), 1, "error: name \\u001b[31mred\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var errOut bytes.Buffer
			code := exit(tc.err, &errOut)
			if code != tc.code {
				t.Errorf("exit code %d, want %d", code, tc.code)
			}
			if diff := cmp.Diff(tc.want, errOut.String()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// The sentences about the kubeconfig come from client-go's own errors.
func TestKubeconfigErrors(t *testing.T) {
	for _, tc := range []struct {
		name string
		args []string
		want string
	}{
		{"none", []string{"reviews"}, "error: no cluster to read: no kubeconfig was found; name one with --kubeconfig, or read manifests with -f (test: --manifests)\n"},
		{
			"no such context",
			[]string{"--context", "prod", "reviews"},
			"error: read the kubeconfig: invalid configuration: context was not found for specified context: prod; 'kubectl config get-contexts' lists those there are\n",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Setenv("KUBERNETES_SERVICE_HOST", "")
			var got called
			r := runWith(t, fake(&got, resolve.Input{}, fate(trace.Delivered)), tc.args...)
			if diff := cmp.Diff(result{exitFailed, "", tc.want}, r); diff != "" {
				t.Error(diff)
			}
		})
	}
}

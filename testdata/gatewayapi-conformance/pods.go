package gatewayapi

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/streaming/pkg/httpstream"
	"k8s.io/streaming/pkg/httpstream/spdy"

	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// PodServer is the part of an API server that runs commands in pods, shows their logs, and lists what is deployed.
type PodServer struct{ Player *Player }

// Start serves on loopback.
func (s PodServer) Start() *httptest.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v1/namespaces/{namespace}/pods/{pod}/exec", s.exec)
	mux.HandleFunc("GET /api/v1/namespaces/{namespace}/pods/{pod}/log", s.log)
	mux.HandleFunc("GET /api/v1/namespaces/{namespace}/{resource}", s.list)
	return httptest.NewServer(mux)
}

// list is what the tracer takes to be there, with what it takes istiod to deploy for Gateways.
func (s PodServer) list(w http.ResponseWriter, r *http.Request) {
	world, err := s.Player.Cluster.World(r.Context())
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	selector, err := labels.Parse(r.URL.Query().Get("labelSelector"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	namespace, resource := r.PathValue("namespace"), r.PathValue("resource")
	running := world.snapshot.RunningIn(namespace)
	var list any
	switch resource {
	case "serviceaccounts":
		list = corev1.ServiceAccountList{Items: selected(running.ServiceAccounts(), namespace, selector)}
	case "pods":
		list = corev1.PodList{Items: selected(running.Pods(), namespace, selector)}
	case "services":
		list = corev1.ServiceList{Items: selected(world.snapshot.KubeServices, namespace, selector)}
	default:
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(list) // the client tells
}

func selected[T any, P interface {
	*T
	metav1.Object
}](from []P, namespace string, selector labels.Selector) []T {
	var out []T
	for _, o := range from {
		if o.GetNamespace() == namespace && selector.Matches(labels.Set(o.GetLabels())) {
			out = append(out, *o)
		}
	}
	return out
}

// log is what the echo server wrote, whose container is called as its service. Its first pod has got all requests.
func (s PodServer) log(w http.ResponseWriter, r *http.Request) {
	if !strings.HasSuffix(r.PathValue("pod"), "-0") {
		return
	}
	for _, line := range s.Player.Logs(r.URL.Query().Get("container") + "/" + r.PathValue("namespace")) {
		_, _ = fmt.Fprintln(w, line)
	}
}

// exec runs the suite's echo client in a pod.
func (s PodServer) exec(w http.ResponseWriter, r *http.Request) {
	if _, err := httpstream.Handshake(r, w, []string{"v4.channel.k8s.io"}); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	opened := make(chan httpstream.Stream, 3)
	connection := spdy.NewResponseUpgrader().UpgradeResponse(w, r, func(stream httpstream.Stream, _ <-chan struct{}) error {
		opened <- stream
		return nil
	})
	if connection == nil {
		return
	}
	defer func() { _ = connection.Close() }()
	streams := map[string]httpstream.Stream{}
	for len(streams) < 3 {
		select {
		case stream := <-opened:
			streams[stream.Headers().Get(corev1.StreamType)] = stream
		case <-r.Context().Done():
			return
		}
	}
	status := metav1.Status{Status: metav1.StatusSuccess}
	output, err := s.run(r.PathValue("namespace")+"/pod/"+r.PathValue("pod"), r.URL.Query()["command"])
	if err != nil {
		status = metav1.Status{Status: metav1.StatusFailure, Message: err.Error()}
	}
	_, _ = io.WriteString(streams[corev1.StreamTypeStdout], output)
	_ = json.NewEncoder(streams[corev1.StreamTypeError]).Encode(status)
	for _, stream := range streams {
		_ = stream.Close()
	}
}

// run is `client URL --method= -H NAME:VALUE --count=N`.
func (s PodServer) run(from string, args []string) (string, error) {
	if len(args) < 2 {
		return "", fmt.Errorf("no client: %q", args)
	}
	typed, sent, count := trace.Typed{From: from}, http.Header{}, 1
	for i := 2; i < len(args); i++ {
		name, value, _ := strings.Cut(args[i], "=")
		switch {
		case name == "--method":
			typed.Method = value
		case name == "--count":
			count, _ = strconv.Atoi(value)
		case name == "-H" && i+1 < len(args):
			i++
			name, value, _ := strings.Cut(args[i], ":")
			sent.Set(name, value)
		}
	}
	u, err := url.Parse(args[1])
	if err != nil {
		return "", err
	}
	if u.Scheme == "grpc" && u.Path == "" {
		u.Path = "/proto.EchoTestService/Echo"
	}
	typed.URL, typed.Headers = u.String(), typedHeaders(sent)
	var out strings.Builder
	for range max(count, 1) {
		a, err := s.Player.Play(typed, sent)
		if err != nil {
			return "", err
		}
		out.WriteString(echoed(a) + "\n")
	}
	return out.String(), nil
}

// echoed is an answer as the client prints it.
func echoed(a Answer) string {
	lines := []string{"StatusCode=" + strconv.Itoa(a.Status)}
	if !a.Backend.IsZero() {
		lines = append(lines, "Hostname="+a.PodName(), "Method="+a.Method, "Host="+a.Host)
		path, _, _ := strings.Cut(a.Path, "?")
		lines = append(lines, "URL="+path)
	}
	for _, h := range []struct {
		word string
		of   http.Header
	}{{"RequestHeader", a.Received}, {"ResponseHeader", a.Headers}} {
		for name, values := range h.of {
			for _, v := range values {
				lines = append(lines, h.word+"="+name+":"+v)
			}
		}
	}
	if a.Location != "" {
		lines = append(lines, "ResponseHeader=Location:"+a.Location)
	}
	slices.Sort(lines[1:])
	return strings.Join(lines, "\n") + "\n"
}

// hostPort splits an address; port is the one that counts without.
func hostPort(address, port string) (string, string) {
	if h, p, err := net.SplitHostPort(address); err == nil {
		return h, p
	}
	return address, port
}

package cmd

import (
	"bufio"
	"context"
	"io"
	"strings"
	"testing"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/mesh-trace/kubectl-mesh-trace/cmd/load/loadtest"
)

const virtualServices = "/apis/networking.istio.io/v1/virtualservices"

// watching is a command that watches the server.
type watching struct {
	t      *testing.T
	out    *bufio.Reader
	errOut *bufio.Reader
	stop   context.CancelFunc
	code   chan int
}

func watchCluster(t *testing.T, s *loadtest.Server, args ...string) watching {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	out, outWriter := io.Pipe()
	errOut, errWriter := io.Pipe()
	streams := genericiooptions.IOStreams{In: strings.NewReader(""), Out: outWriter, ErrOut: errWriter}
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, append([]string{"kubectl-mesh_trace", "--server", s.URL, "-n", "shop", "--watch"}, args...), streams, Build{}, join())
		_, _ = outWriter.Close(), errWriter.Close()
	}()
	t.Cleanup(stop)
	return watching{t, bufio.NewReader(out), bufio.NewReader(errOut), stop, code}
}

// until reads lines up to one that begins so, and returns that one.
func (w watching) until(from *bufio.Reader, prefix string) string {
	w.t.Helper()
	var read strings.Builder
	for {
		line, err := from.ReadString('\n')
		read.WriteString(line)
		if strings.HasPrefix(line, prefix) {
			return line
		}
		if err != nil {
			w.t.Fatalf("no line begins with %q (%v):\n%s", prefix, err, read.String())
		}
	}
}

const aborting = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, namespace: shop}
spec: {hosts: [reviews], http: [{fault: {abort: {httpStatus: 418, percentage: {value: 100}}}, route: [{destination: {host: reviews}}]}]}
`

// TestWatchPrintsWhatHasChanged follows a change of the VirtualService that decides, and ends when the user says so.
func TestWatchPrintsWhatHasChanged(t *testing.T) {
	s := loadtest.New(t)
	s.Apply(t, clusterMesh)
	w := watchCluster(t, s, "--from", "pod/web-1", "reviews:9080/")
	w.until(w.out, "Delivered")
	s.Change(t, virtualServices, "shop", "reviews", aborting)
	w.until(w.out, "changed: VirtualService shop/reviews (modified)")
	if got := w.until(w.out, "Responded"); !strings.HasPrefix(got, "Responded 418") {
		t.Errorf("verdict %q", got)
	}
	w.until(w.out, "-Delivered")
	w.until(w.out, "+Responded 418")
	w.stop()
	if code := <-w.code; code != exitTraced {
		t.Errorf("exit code %d", code)
	}
}

// TestWatchReadsOnlyWhatHasChanged: the lists in which nothing has changed are not asked for again.
func TestWatchReadsOnlyWhatHasChanged(t *testing.T) {
	s := loadtest.New(t)
	s.Apply(t, clusterMesh)
	w := watchCluster(t, s, "-o", "jsonpath={.outcomes[0].decision}{\"\\n\"}", "--from", "pod/web-1", "reviews:9080/")
	w.until(w.out, "Delivered")
	before := len(s.Requests())
	s.Change(t, virtualServices, "shop", "reviews", aborting)
	w.until(w.out, "Responded")
	var asked []string
	for _, r := range s.Requests()[before:] {
		if !strings.Contains(r, "watch=true") {
			asked = append(asked, r)
		}
	}
	got := strings.Join(asked, "\n")
	for _, other := range []string{"/services", "/pods", "/apis ", "/api "} {
		if strings.Contains(got+" ", other) {
			t.Errorf("%s is asked for again:\n%s", other, got)
		}
	}
	if !strings.Contains(got, virtualServices+"?") {
		t.Errorf("VirtualServices are not asked for again:\n%s", got)
	}
}

// TestWatchOutlivesASourceThatGoesAway tells of the error, and goes on.
func TestWatchOutlivesASourceThatGoesAway(t *testing.T) {
	const pods = "/api/v1/namespaces/shop/pods"
	s := loadtest.New(t)
	s.Apply(t, clusterMesh)
	w := watchCluster(t, s, "--from", "pod/web-1", "reviews:9080/")
	w.until(w.out, "Delivered")
	there := s.Listed(pods)
	s.Change(t, pods, "shop", "web-1")
	w.until(w.errOut, "error: --from: pod shop/web-1 is not found")
	s.Change(t, pods, "shop", "web-1", there...)
	s.Change(t, virtualServices, "shop", "reviews", aborting)
	w.until(w.out, "Responded 418")
}

// TestWatchThatIsForbiddenIsTold: the kind that may not be watched is named, once.
func TestWatchThatIsForbiddenIsTold(t *testing.T) {
	s := loadtest.New(t)
	s.Apply(t, clusterMesh)
	s.ForbidWatch("destinationrules")
	w := watchCluster(t, s, "--from", "pod/web-1", "reviews:9080/")
	w.until(w.out, "Delivered")
	w.until(w.errOut, "warning: destinationrules.networking.istio.io can not be watched (destinationrules is forbidden): a change of one is seen when something else changes")
}

func TestWatchNeedsACluster(t *testing.T) {
	for _, args := range [][]string{{"--watch", "-f", "mesh.yaml", "reviews"}, {"-w", "--exit-code", "reviews"}} {
		got := runWith(t, join(), args...)
		if got.Code != exitUsage || !strings.HasPrefix(got.ErrOut, "error: --watch (-w) can not be used together with") {
			t.Errorf("%v: %+v", args, got)
		}
	}
}

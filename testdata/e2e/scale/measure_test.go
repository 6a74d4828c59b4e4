package scale

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/rest"
)

// atATime is how many questions the tool has under way.
const atATime = 16

// run is what one command took.
type run struct {
	wall time.Duration
	// peak is the most memory it had at any moment, in bytes.
	peak   int64
	stdout string
}

// execute runs a command with nothing in its environment but a kubeconfig file.
//
// The kernel's account of a process that has ended (ru_maxrss) begins with the memory of the one that started it, which here is
// a test that holds a mesh; so the high-water mark is read while it runs.
func execute(t testing.TB, kubeconfig string, command ...string) run {
	t.Helper()
	c := exec.Command(command[0], command[1:]...)
	c.Env = []string{"KUBECONFIG=" + kubeconfig, "HOME=" + t.TempDir()}
	var out, errOut bytes.Buffer
	c.Stdout, c.Stderr = &out, &errOut
	start := time.Now()
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	stop, peak := make(chan struct{}), make(chan int64)
	go func() {
		most := int64(0)
		for {
			most = max(most, highWater(c.Process.Pid))
			select {
			case <-stop:
				peak <- most
				return
			case <-time.After(2 * time.Millisecond):
			}
		}
	}()
	err := c.Wait()
	r := run{wall: time.Since(start), stdout: out.String()}
	close(stop)
	r.peak = <-peak
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(command, " "), err, errOut.String())
	}
	return r
}

// highWater is VmHWM, in bytes.
func highWater(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	var kilobytes int64
	fmt.Sscan(rest, &kilobytes) //nolint:errcheck // a process that has ended has none
	return kilobytes << 10
}

// kubectlFetches is how long kubectl takes to fetch the same, so many at a time, each in a process of its own.
func kubectlFetches(t testing.TB, kubectl, kubeconfig string, requests []request) time.Duration {
	t.Helper()
	start := time.Now()
	var g errgroup.Group
	g.SetLimit(atATime)
	for _, q := range requests {
		g.Go(func() error {
			c := exec.Command(kubectl, "get", "--raw", q.uri)
			c.Env = []string{"KUBECONFIG=" + kubeconfig, "HOME=" + os.TempDir()}
			if err := c.Run(); err != nil { // what it prints is dropped
				return fmt.Errorf("kubectl get --raw %s: %w", q.uri, err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	return time.Since(start)
}

// bareFetches is how long a client takes that connects, fetches the same in the same encodings, unpacks and drops it, and how
// many bytes that is unpacked.
func bareFetches(t testing.TB, config *rest.Config, requests []request) (took time.Duration, unpacked int64) {
	t.Helper()
	transport := newTransport(t, config)
	start := time.Now()
	var all atomic.Int64
	var g errgroup.Group
	g.SetLimit(atATime)
	for _, q := range requests {
		g.Go(func() error {
			n, err := fetch(t.Context(), transport, config.Host, q)
			all.Add(n)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	return time.Since(start), all.Load()
}

// newTransport has no connection yet.
func newTransport(t testing.TB, config *rest.Config) http.RoundTripper {
	t.Helper()
	config = rest.CopyConfig(config)
	config.Proxy = func(*http.Request) (*url.URL, error) { return nil, nil } // so that client-go makes one of its own
	transport, err := rest.TransportFor(config)
	if err != nil {
		t.Fatal(err)
	}
	return transport
}

func fetch(ctx context.Context, transport http.RoundTripper, host string, q request) (int64, error) {
	ask, err := http.NewRequestWithContext(ctx, http.MethodGet, host+q.uri, nil)
	if err != nil {
		return 0, err
	}
	ask.Header.Set("Accept", q.accept)
	answer, err := transport.RoundTrip(ask)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close() //nolint:errcheck // it is read to its end
	if answer.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("%s: %s", q.uri, answer.Status)
	}
	return io.Copy(io.Discard, answer.Body)
}

// median is the middle one.
func median(all []int64) int64 {
	slices.Sort(all)
	return all[len(all)/2]
}

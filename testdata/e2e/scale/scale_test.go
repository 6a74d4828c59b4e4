package scale

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/mesh-trace/kubectl-mesh-trace/testdata/e2e/cluster"
)

var (
	large  = flag.Bool("large", false, "fill API servers with large meshes, and measure")
	update = flag.Bool("update", false, "write report.md, the table that the README shows")
)

// The limits: at most these many times as long as fetching the same with kubectl; at most this share of the bytes of all lists.
const (
	timeLimit  = 1.3
	bytesLimit = 0.25
	// farLimit is for a trace over a link of farDelay in each direction.
	farLimit = 3 * time.Second
	farDelay = 50 * time.Millisecond
	// times is how often each command runs. Of times the best counts, for what else a machine does only adds to them; of
	// memory and bytes the median.
	times = 5
)

// sizes are the meshes, with the most memory that a trace may take, in bytes.
var sizes = []struct {
	mesh   Mesh
	memory int64
}{
	{Mesh{Services: 1000, Pods: 2000}, 150 << 20},
	{Mesh{Services: 5000, Pods: 25000}, 250 << 20},
}

func TestOneTraceOfALargeMesh(t *testing.T) {
	if !*large {
		t.Skip("other tests that run at the same time would be measured too: -large asks for it")
	}
	var rows []measured
	for _, size := range sizes {
		t.Run(fmt.Sprintf("%d services and %d pods", size.mesh.Services, size.mesh.Pods), func(t *testing.T) {
			m := measure(t, size.mesh)
			t.Log("\n" + table([]measured{m}))
			m.check(t, size.memory)
			rows = append(rows, m)
		})
	}
	if *update && !t.Failed() && len(rows) == len(sizes) {
		if err := os.WriteFile("report.md", []byte(table(rows)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// measured is what was measured of a mesh.
type measured struct {
	mesh                      Mesh
	fill                      time.Duration
	questions                 int
	trace, kubectl, bare, far time.Duration
	// moved and all are bytes on the wire: of one trace, and of all lists; unpacked and allUnpacked are without compression;
	// peak is memory.
	moved, all, unpacked, allUnpacked, peak int64
}

func (m measured) check(t *testing.T, memory int64) {
	t.Helper()
	if share := m.trace.Seconds() / m.kubectl.Seconds(); share > timeLimit {
		t.Errorf("a trace takes %v, %.2f times what kubectl takes to fetch the same (%v)", m.trace, share, m.kubectl)
	}
	if share := float64(m.moved) / float64(m.all); share > bytesLimit {
		t.Errorf("a trace moves %d bytes, %.2f of those of all lists (%d)", m.moved, share, m.all)
	}
	if share := float64(m.unpacked) / float64(m.allUnpacked); share > bytesLimit {
		t.Errorf("what a trace reads has %d bytes, %.2f of those of all lists (%d)", m.unpacked, share, m.allUnpacked)
	}
	if m.peak > memory {
		t.Errorf("a trace takes %d MiB of memory, and may take %d", m.peak>>20, memory>>20)
	}
	if m.far > farLimit {
		t.Errorf("a trace over a link of %v takes %v, and may take %v", farDelay, m.far, farLimit)
	}
}

// measure fills a cluster and measures one trace of it, as the user of the documented roles.
func measure(t *testing.T, mesh Mesh) measured {
	t.Helper()
	c := cluster.Start(t)
	m := measured{mesh: mesh}
	start := time.Now()
	counts, err := Fill(c, mesh)
	if err != nil {
		t.Fatal(err)
	}
	filled(t, c, counts)
	m.fill = time.Since(start)
	t.Logf("filled in %v, %d objects", m.fill, total(counts))
	roles, err := os.ReadFile(rolesFile)
	if err != nil {
		t.Fatal(err)
	}
	c.Apply(t, string(roles), bindings)

	user := c.ConfigFor(t, "jane", time.Now().Add(24*time.Hour), "oncall")
	plugin := cluster.Plugin(t)
	kubectl := filepath.Join(plugin, "kubectl")
	from, target := mesh.Request()
	trace := []string{filepath.Join(plugin, "kubectl-mesh_trace"), "--from", from, target}
	delivered(t, execute(t, cluster.WriteKubeconfig(t, user), append(trace, "-o", "json")...).stdout)

	server := strings.TrimPrefix(c.URL, "https://")
	near, far := newLink(t, server, 0), newLink(t, server, farDelay)
	asked := recorded(t, user, trace)
	m.questions = len(asked)
	t.Logf("%d questions", m.questions)
	through := func(k *link) *rest.Config {
		config := rest.CopyConfig(user)
		config.Host = "https://" + k.address
		return config
	}
	nearby, faraway := cluster.WriteKubeconfig(t, through(near)), cluster.WriteKubeconfig(t, through(far))
	var walls, kubectls, bares, fars []time.Duration
	var moved, peaks []int64
	for range times {
		before := near.moved.Load()
		r := execute(t, nearby, trace...)
		walls, peaks, moved = append(walls, r.wall), append(peaks, r.peak), append(moved, near.moved.Load()-before)
		kubectls = append(kubectls, kubectlFetches(t, kubectl, nearby, asked))
		bare, unpacked := bareFetches(t, through(near), asked)
		bares, m.unpacked = append(bares, bare), unpacked
	}
	for range times {
		fars = append(fars, execute(t, faraway, trace...).wall)
	}
	before := near.moved.Load()
	m.allUnpacked = listAll(t, through(near))
	m.all = near.moved.Load() - before
	m.trace, m.kubectl, m.bare, m.far = slices.Min(walls), slices.Min(kubectls), slices.Min(bares), slices.Min(fars)
	m.moved, m.peak = median(moved), median(peaks)
	return m
}

// delivered: what is measured is a whole trace, with its answer.
func delivered(t *testing.T, document string) {
	t.Helper()
	var d struct {
		Outcomes []struct {
			Decision, Certainty string
			Destination         struct{ Subset string }
		}
	}
	if err := json.Unmarshal([]byte(document), &d); err != nil {
		t.Fatal(err)
	}
	if len(d.Outcomes) != 1 || d.Outcomes[0].Decision != "Delivered" || d.Outcomes[0].Certainty != "certain" || d.Outcomes[0].Destination.Subset != "v1" {
		t.Fatalf("the trace says %+v", d.Outcomes)
	}
}

// recorded is what one trace asks the API server for.
func recorded(t *testing.T, user *rest.Config, trace []string) []request {
	t.Helper()
	r := newRecorder(t, user)
	kubeconfig := cluster.WriteKubeconfig(t, &rest.Config{Host: r.URL, TLSClientConfig: rest.TLSClientConfig{CAData: authority(r.Server)}})
	execute(t, kubeconfig, trace...)
	if len(r.seen) < 10 {
		t.Fatalf("the trace has asked for %v", r.seen)
	}
	return r.seen
}

// table is what the README shows.
func table(rows []measured) string {
	var b strings.Builder
	b.WriteString("| mesh | one trace | `kubectl get --raw` of the same | a client that drops it | moved | of all lists | unpacked | of all lists | peak memory | over a link of 50 ms |\n" +
		"|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n")
	for _, m := range rows {
		fmt.Fprintf(&b, "| %s services, %s pods | %.2f s | %.2f s (%.2f times) | %.2f s (%.2f times) | %.1f MB | %.1f MB (%.2f) | %.1f MB | %.1f MB (%.2f) | %d MiB | %.2f s |\n",
			thousands(m.mesh.Services), thousands(m.mesh.Pods), m.trace.Seconds(), m.kubectl.Seconds(), m.trace.Seconds()/m.kubectl.Seconds(),
			m.bare.Seconds(), m.trace.Seconds()/m.bare.Seconds(), float64(m.moved)/1e6, float64(m.all)/1e6, float64(m.moved)/float64(m.all),
			float64(m.unpacked)/1e6, float64(m.allUnpacked)/1e6, float64(m.unpacked)/float64(m.allUnpacked), m.peak>>20, m.far.Seconds())
	}
	return b.String()
}

func thousands(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%d,%03d", n/1000, n%1000)
}

func total(counts map[string]int) int {
	n := 0
	for _, more := range counts {
		n += more
	}
	return n
}

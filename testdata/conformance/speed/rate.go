//go:build unix

package main

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/mesh-trace/kubectl-mesh-trace/cmd/load"
	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"

	"github.com/mesh-trace/kubectl-mesh-trace/testdata/bigmesh"
)

// namespaceCount is how many namespaces the requests are in, spread evenly over the mesh. They are few: the first request
// of a namespace builds what its sidecars know of the whole mesh, which takes time and memory that this does not count.
const namespaceCount = 4

// rounds is how often they are traced; the best round counts.
const rounds = 5

// perRound is how many traces a round has: so many that garbage of the larger mesh is collected in each.
const perRound = 50_000

// traceRate measures in a process of its own, whose memory nothing else has used.
func traceRate(file string) (float64, error) {
	out, err := exec.Command(os.Args[0], "-traces", file).Output()
	if err != nil {
		return 0, fmt.Errorf("measure traces: %w", err)
	}
	return strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
}

// printRate prints how many traces a core does in a second.
func printRate(file string) error {
	in, err := load.Manifests(load.ManifestOptions{Paths: []string{file}, Defer: true})
	if err != nil {
		return err
	}
	s := resolve.NewSnapshot(in)
	requests, err := requestsTo(s)
	if err != nil {
		return err
	}
	best := time.Duration(0)
	for round := range rounds + 1 {
		before := processorTime()
		for i := range perRound {
			if _, err := trace.WalkView(s, requests[i%len(requests)], trace.DetailNone); err != nil {
				return err
			}
		}
		// The first round builds the indexes.
		if took := processorTime() - before; round > 0 && (best == 0 || took < best) {
			best = took
		}
	}
	fmt.Printf("%.0f\n", perRound/best.Seconds())
	return nil
}

// requestsTo are requests between services of some namespaces, each from the one that is let in.
func requestsTo(s *resolve.Snapshot) ([]trace.Request, error) {
	mesh := bigmesh.Mesh{}
	namespaces := (len(s.KubeServices) - 1) / bigmesh.ServicesPerNamespace // one service is the gateway's
	var requests []trace.Request
	for i := range namespaceCount {
		first := i * namespaces / namespaceCount * bigmesh.ServicesPerNamespace
		for called := first; called < first+bigmesh.ServicesPerNamespace-1; called++ {
			q, err := trace.NewRequest(trace.Typed{
				URL:  fmt.Sprintf("http://%s.%s/api/", mesh.Service(called), mesh.Namespace(called)),
				From: fmt.Sprintf("%s/deployment/%s", mesh.Namespace(called), mesh.Service(called+1)),
			})
			if err != nil {
				return nil, err
			}
			requests = append(requests, q)
		}
	}
	return requests, nil
}

// processorTime is what this process has used so far.
func processorTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

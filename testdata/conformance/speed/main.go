//go:build unix

// Command speed measures the tracer against `istioctl analyze` on generated meshes (testdata/bigmesh):
//
//		go -C testdata/conformance run ./speed
//
//	 1. Both are built, istioctl from the module that the conformance follows (-istioctl names one that is built already).
//	 2. Each reads the same file as often as -runs says, in turns: istioctl analyzes it, the tracer traces one request.
//	    Time is that of the whole process, memory the most it had in memory at any moment (ru_maxrss).
//	 3. In a process of its own, requests all over the mesh are traced without what was not chosen (--explain none).
//	    The rate is by the processor time they took, garbage collection included.
//	 4. On the first mesh a case file is run with 10,000 cases all over it, each written out (testdata/bigmesh, WriteCases).
//
// With -check the exit code tells whether the targets are met.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/mesh-trace/kubectl-mesh-trace/testdata/bigmesh"
)

// The targets: at most these shares of what istioctl takes; at least so many traces a second and core on the
// first mesh, and on no other more than so many times fewer.
const (
	timeShare   = 1. / 5
	memoryShare = 1. / 2
	tracesMin   = 20_000
	tracesDrop  = 1.5
	// testTime is for all cases on the first mesh, the reading of both files included.
	testTime = 5 * time.Second
)

// cases is how many cases a case file has.
const cases = 10_000

func main() {
	sizes := flag.String("services", "1000,10000", "how many services the meshes have")
	runs := flag.Int("runs", 5, "how often each command runs")
	istioctl := flag.String("istioctl", "", "the istioctl to measure; built if it is empty")
	check := flag.Bool("check", false, "exit with code 1 if a target is missed")
	traces := flag.String("traces", "", "measure traces of this file in this process; for this command itself")
	flag.Parse()
	met, err := true, error(nil)
	if *traces != "" {
		err = printRate(*traces)
	} else {
		met, err = measure(os.Stdout, strings.Split(*sizes, ","), *runs, *istioctl)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(2)
	}
	if *check && !met {
		os.Exit(1)
	}
}

// measure prints the table and reports whether every target is met.
func measure(w io.Writer, sizes []string, runs int, istioctl string) (met bool, err error) {
	dir, err := os.MkdirTemp("", "speed")
	if err != nil {
		return false, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	tracer, err := build(dir, "github.com/mesh-trace/kubectl-mesh-trace", "./cmd/kubectl-mesh_trace")
	if err == nil && istioctl == "" {
		// Istio's own module is built, so that istioctl has the dependencies it is released with.
		istioctl, err = build(dir, "istio.io/istio", "./istioctl/cmd/istioctl")
	}
	if err != nil {
		return false, err
	}
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(out, "services\twhat\tbest\tmedian\tprocessor\tpeak memory")
	met = true
	first := 0.
	for _, size := range sizes {
		services, err := strconv.Atoi(size)
		if err != nil {
			return false, err
		}
		file := filepath.Join(dir, size+".yaml")
		if err := write(file, services); err != nil {
			return false, err
		}
		analyze, trace, err := compare(runs,
			[]string{istioctl, "analyze", "--use-kube=false", file},
			[]string{tracer, "-f", file, "--from", "team-000/deployment/svc-00005", "http://svc-00004.team-000/api/"})
		if err != nil {
			return false, err
		}
		rate, err := traceRate(file)
		if err != nil {
			return false, err
		}
		if first == 0 {
			first = rate
			tests, err := runCases(runs, tracer, file, services)
			if err != nil {
				return false, err
			}
			fmt.Fprintf(out, "%s\ttest, %d cases\t%s\n", size, cases, tests)
			met = met && tests.best() <= testTime
		}
		fmt.Fprintf(out, "%s\tistioctl analyze\t%s\n", size, analyze)
		fmt.Fprintf(out, "%s\tkubectl mesh-trace\t%s\n", size, trace)
		time, memory := trace.best().Seconds()/analyze.best().Seconds(), float64(trace.memory())/float64(analyze.memory())
		fmt.Fprintf(out, "%s\tshare of istioctl's\t%.2f (at most %.2f)\t\t\t%.2f (at most %.2f)\n", size, time, timeShare, memory, memoryShare)
		fmt.Fprintf(out, "%s\ttraces/s and core\t%.0f (%.2f times fewer than on the first)\n", size, rate, first/rate)
		met = met && time <= timeShare && memory <= memoryShare && first >= tracesMin && first/rate <= tracesDrop
	}
	if err := out.Flush(); err != nil {
		return false, err
	}
	fmt.Fprintf(w, "targets met: %t\n", met)
	return met, nil
}

// write generates a mesh into a file, from which both commands read.
func write(path string, services int) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	if _, err := bigmesh.Of(services).WriteTo(file); err != nil {
		return err
	}
	return file.Close()
}

//go:build unix

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/mesh-trace/kubectl-mesh-trace/testdata/bigmesh"
)

// build builds a command of a module this one requires, and returns its path.
func build(dir, module, pkg string) (string, error) {
	root, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		return "", fmt.Errorf("go list -m %s: %w", module, err)
	}
	path := filepath.Join(dir, filepath.Base(pkg))
	c := exec.Command("go", "-C", strings.TrimSpace(string(root)), "build", "-ldflags", "-s -w", "-o", path, pkg)
	c.Env = append(os.Environ(), "CGO_ENABLED=0") // as both are released
	c.Stderr = os.Stderr
	if err := c.Run(); err != nil {
		return "", fmt.Errorf("build %s: %w", pkg, err)
	}
	return path, nil
}

// run is what one process took.
type run struct {
	wall, processor time.Duration
	// memory is the peak, in bytes.
	memory int64
}

// runs are those of one command.
type runs []run

// compare runs both commands in turns, so that a busy moment of the machine meets both.
func compare(times int, a, b []string) (runsA, runsB runs, err error) {
	for range times {
		for _, c := range []struct {
			command []string
			runs    *runs
		}{{a, &runsA}, {b, &runsB}} {
			r, err := execute(c.command)
			if err != nil {
				return nil, nil, err
			}
			*c.runs = append(*c.runs, r)
		}
	}
	return runsA, runsB, nil
}

// runCases runs a case file of a mesh as often as told.
func runCases(times int, tracer, mesh string, services int) (all runs, err error) {
	path := strings.TrimSuffix(mesh, ".yaml") + ".cases.yaml"
	file, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(bigmesh.Of(services).WriteCases(file, filepath.Base(mesh), cases), file.Close()); err != nil {
		return nil, err
	}
	for range times {
		r, err := execute([]string{tracer, "test", "-f", path})
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

func execute(command []string) (run, error) {
	c := exec.Command(command[0], command[1:]...)
	c.Env = append(os.Environ(), "KUBECONFIG="+filepath.Join(os.TempDir(), "none"))
	start := time.Now()
	out, err := c.CombinedOutput()
	wall := time.Since(start)
	if err != nil {
		return run{}, fmt.Errorf("%s: %w\n%s", strings.Join(command, " "), err, out)
	}
	usage, ok := c.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return run{}, fmt.Errorf("no resource usage on %s", runtime.GOOS)
	}
	unit := int64(1024)
	if runtime.GOOS == "darwin" {
		unit = 1
	}
	return run{wall, c.ProcessState.UserTime() + c.ProcessState.SystemTime(), int64(usage.Maxrss) * unit}, nil
}

func (r runs) sorted(by func(run) time.Duration) []time.Duration {
	var all []time.Duration
	for _, one := range r {
		all = append(all, by(one))
	}
	slices.Sort(all)
	return all
}

func (r runs) best() time.Duration {
	return r.sorted(func(r run) time.Duration { return r.wall })[0]
}

// memory is the median of the peaks.
func (r runs) memory() int64 {
	var all []int64
	for _, one := range r {
		all = append(all, one.memory)
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// String is the runs' columns of the table.
func (r runs) String() string {
	wall := r.sorted(func(r run) time.Duration { return r.wall })
	processor := r.sorted(func(r run) time.Duration { return r.processor })
	return fmt.Sprintf("%.2f s\t%.2f s\t%.2f s\t%d MiB", wall[0].Seconds(), wall[len(wall)/2].Seconds(), processor[0].Seconds(), r.memory()>>20)
}

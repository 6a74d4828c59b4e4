package conformance

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/proxies"
)

// apart runs every test in a process of its own, as many at once as there are processors, and returns the rows of the
// table that they found. Of every fake control plane some megabytes stay with the process (Istio's collections keep their
// listeners), and there are thousands.
func apart() (rows string, err error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	list, err := exec.Command(self, "-test.list=^Test").Output()
	if err != nil {
		return "", fmt.Errorf("the list of tests: %w", err)
	}
	folder, err := os.MkdirTemp("", "rows")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(folder)
	var (
		names  = testsOf(string(list))
		failed = make([]error, len(names))
		found  = make([]string, len(names))
		wait   sync.WaitGroup
		shown  sync.Mutex // a test's output stays in one piece
		free   = make(chan struct{}, runtime.NumCPU())
	)
	for i, name := range names {
		wait.Go(func() {
			free <- struct{}{}
			defer func() { <-free }()
			file := filepath.Join(folder, name)
			command := exec.Command(self, append(handed(), "-test.run=^"+name+"$", "-rows="+file)...)
			if envoyAbsent == nil && asksEnvoy(name) {
				proxies.Enclose(command)
			}
			output, err := command.CombinedOutput()
			shown.Lock()
			fmt.Printf("--- %s\n%s", name, output)
			shown.Unlock()
			if err != nil {
				failed[i] = fmt.Errorf("%s: %w", name, err)
				return
			}
			text, err := os.ReadFile(file)
			found[i], failed[i] = string(text), err
		})
	}
	wait.Wait()
	return strings.Join(found, ""), errors.Join(failed...)
}

// testsOf are the lines of a list that name a test: Istio's packages write their warnings to the same place.
func testsOf(list string) (names []string) {
	for line := range strings.Lines(list) {
		if name := strings.TrimSpace(line); strings.HasPrefix(name, "Test") && !strings.Contains(name, " ") {
			names = append(names, name)
		}
	}
	return names
}

// handed are the flags of this process that its tests are given. The log of files that a test opened is not: it would
// have one writer too many, and without it go test keeps no result for a run that may differ.
func handed() (args []string) {
	flag.Visit(func(f *flag.Flag) {
		switch f.Name {
		case "test.testlogfile", "test.run", "update":
		default:
			args = append(args, "-"+f.Name+"="+f.Value.String())
		}
	})
	return args
}

package cmd

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/mesh-trace/kubectl-mesh-trace/cmd/load/loadtest"
)

// TestMain gives the scripts the real command, under both its names.
func TestMain(m *testing.M) {
	// Nothing of the machine's own configuration reaches a test, and a test that sets nothing can run beside others.
	os.Setenv("KUBECONFIG", filepath.Join(os.TempDir(), "no-such-directory", "kubeconfig"))
	command := func() { os.Exit(Main(os.Args, Build{Version: "v0.0.0-test", Commit: "c0ffee"})) }
	testscript.Main(m, map[string]func(){"kubectl-mesh_trace": command, completer: command})
}

// TestScript runs testdata/script: what the command does with arguments, streams and exit codes.
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           "../testdata/script",
		UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != "",
		// Nothing of the machine's own configuration reaches a script.
		Setup: func(e *testscript.Env) error {
			e.Setenv("KUBECONFIG", e.WorkDir+"/no-kubeconfig")
			e.Setenv("KUBERNETES_SERVICE_HOST", "")
			e.Setenv("KUBERNETES_MASTER", "")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "apiserver": apiServer},
	})
}

// apiServer starts an API server without objects and puts its address into $SERVER; PATH is answered
// with the status: apiserver [STATUS PATH]
func apiServer(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 && len(args) != 2 {
		ts.Fatalf("usage: apiserver [STATUS PATH]")
	}
	s := loadtest.Start()
	ts.Defer(s.Close)
	if len(args) == 2 {
		status, err := strconv.Atoi(args[0])
		ts.Check(err)
		s.Refuse(args[1], status)
	}
	ts.Setenv("SERVER", s.URL)
}

// exits runs a program and holds its exit code: exits CODE PROGRAM ARGS...
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARGS...")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := "0"
	if failed, ok := err.(interface{ ExitCode() int }); ok {
		code = strconv.Itoa(failed.ExitCode())
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if code != args[0] {
		ts.Fatalf("exit code %s, want %s", code, args[0])
	}
}

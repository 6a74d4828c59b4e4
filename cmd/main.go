package cmd

import (
	"context"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

// completer is the name under which kubectl (1.26 and later) asks a plugin for
// completions. A link of that name to the binary is the whole installation.
const completer = "kubectl_complete-mesh_trace"

// garbagePercent is how much garbage a run lets lie, in percent of what it keeps. Go's own 100 doubles the memory
// that a large mesh takes; a run reads once, and most of what it reads it keeps, so that collecting often costs little.
const garbagePercent = 25

// manyTracesPercent is that of a command that makes many traces: it keeps next to nothing of each.
const manyTracesPercent = 100

// Main runs the command line and returns the exit code.
func Main(args []string, build Build) int {
	letGarbageLie(garbagePercent)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	streams := genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr}
	return run(ctx, args, streams, build, join())
}

// letGarbageLie sets the percentage, unless the user has chosen one.
func letGarbageLie(percent int) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(percent)
	}
}

// run is Main with everything it stands on given; args begin with the program's name.
func run(ctx context.Context, args []string, streams genericiooptions.IOStreams, build Build, deps Deps) int {
	name, rest := filepath.Base(args[0]), args[1:]
	if strings.TrimSuffix(name, ".exe") == completer {
		rest = append([]string{cobra.ShellCompRequestCmd}, rest...)
	}
	deps.Completing = slices.Contains(rest, cobra.ShellCompRequestCmd) || slices.Contains(rest, cobra.ShellCompNoDescRequestCmd)
	root := newRootCommand(streams, build, deps)
	root.SetArgs(rest)
	return exit(root.ExecuteContext(ctx), streams.ErrOut)
}

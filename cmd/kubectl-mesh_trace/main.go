// Command kubectl-mesh_trace is `kubectl mesh-trace`.
package main

import (
	"os"

	"github.com/mesh-trace/kubectl-mesh-trace/cmd"
)

// Set by the linker; see .goreleaser.yaml.
var version, commit, date string

func main() {
	os.Exit(cmd.Main(os.Args, cmd.Build{Version: version, Commit: commit, Date: date}))
}

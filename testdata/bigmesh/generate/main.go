// Command generate writes the manifests of a large mesh to stdout:
//
//	go run ./testdata/bigmesh/generate -services 1000 > mesh.yaml
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/mesh-trace/kubectl-mesh-trace/testdata/bigmesh"
)

func main() {
	services := flag.Int("services", 1000, "how many services the mesh has")
	flag.Parse()
	if _, err := bigmesh.Of(*services).WriteTo(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

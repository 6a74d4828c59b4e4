// Command generate writes the manifests of a large mesh to stdout:
//
//	go run ./testdata/bigmesh/generate -services 1000 > mesh.yaml
//	go run ./testdata/bigmesh/generate -services 1000 -cases 10000 > cases.yaml
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/mesh-trace/kubectl-mesh-trace/testdata/bigmesh"
)

func main() {
	services := flag.Int("services", 1000, "how many services the mesh has")
	cases := flag.Int("cases", 0, "write a case file with that many cases in place of the mesh, on the manifests of mesh.yaml")
	flag.Parse()
	mesh, err := bigmesh.Of(*services), error(nil)
	if *cases > 0 {
		err = mesh.WriteCases(os.Stdout, "mesh.yaml", *cases)
	} else {
		_, err = mesh.WriteTo(os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

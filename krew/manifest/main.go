// Command manifest prints the plugin's manifest of a release for krew: go run ./krew/manifest TAG <checksums.txt
package main

import (
	"fmt"
	"os"

	"github.com/mesh-trace/kubectl-mesh-trace/krew"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("expected the tag of a release, got %q", args)
	}
	sums, err := krew.Checksums(os.Stdin)
	if err != nil {
		return err
	}
	text, err := krew.Manifest(args[0], sums)
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(text)
	return err
}

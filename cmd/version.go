package cmd

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// Build says which build of the command this is.
type Build struct {
	Version, Commit, Date string
}

// complete fills what the linker was not told from what Go records in a binary,
// so that `go install` gives a version as well.
func (b Build) complete() Build {
	info, ok := debug.ReadBuildInfo()
	if b.Version != "" || !ok {
		return b
	}
	b.Version = info.Main.Version
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.time":
			b.Date = s.Value
		}
	}
	return b
}

// String is the build in one line.
func (b Build) String() string {
	text := "kubectl-mesh_trace " + b.Version
	if b.Version == "" {
		text += "(unknown version)"
	}
	if b.Commit != "" {
		text += ", commit " + b.Commit
	}
	if b.Date != "" {
		text += ", " + b.Date
	}
	return fmt.Sprintf("%s, %s %s/%s, Istio up to %s", text, runtime.Version(), runtime.GOOS, runtime.GOARCH, resolve.NewestRelease)
}

// buildDocument is the document of `version`.
type buildDocument struct {
	Version     string `json:"version"`
	Commit      string `json:"commit"`
	Date        string `json:"date"`
	Go          string `json:"go"`
	Platform    string `json:"platform"`
	NewestIstio string `json:"newestIstio"`
}

// newVersionCommand is `version`.
func newVersionCommand(streams genericiooptions.IOStreams, build Build) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:   "version",
		Short: "Print the version of this command and the newest Istio release it knows",
		Args:  noArguments,
		RunE: func(*cobra.Command, []string) error {
			b := build.complete()
			output := []byte(b.String() + "\n")
			if format != "" {
				var err error
				output, err = encode(buildDocument{
					b.Version, b.Commit, b.Date, runtime.Version(),
					runtime.GOOS + "/" + runtime.GOARCH, resolve.NewestRelease,
				}, format)
				if err != nil {
					return err
				}
			}
			_, err := streams.Out.Write(output)
			return err
		},
	}
	addDataFormat(c, &format)
	return c
}

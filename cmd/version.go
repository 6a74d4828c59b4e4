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
	// Modified is true where the checkout it was built of differed from the commit.
	Modified bool
}

// complete fills in what Go records in a binary.
func (b Build) complete() Build {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	return b.completedBy(info)
}

// completedBy fills what the linker was not told from what Go knows, so that `go install` gives a version as well.
// Whether the checkout was modified is not the linker's to say.
func (b Build) completedBy(info *debug.BuildInfo) Build {
	vcs := map[string]string{}
	for _, s := range info.Settings {
		vcs[s.Key] = s.Value
	}
	b.Modified = vcs["vcs.modified"] == "true"
	if b.Version == "" {
		b.Version, b.Commit, b.Date = info.Main.Version, vcs["vcs.revision"], vcs["vcs.time"]
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
	if b.Modified {
		text += " (modified)"
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
	Modified    bool   `json:"modified"`
	Date        string `json:"date"`
	Go          string `json:"go"`
	Platform    string `json:"platform"`
	NewestIstio string `json:"newestIstio"`
}

const versionLong = `Print the version of this command, the commit it was built of and when that was
made, the Go release and the platform it was built for, and the newest Istio
release whose rules it knows. "(modified)" is a build of a checkout that differed
from its commit.`

const versionExample = `  # In one line
  kubectl mesh-trace version

  # For a program
  kubectl mesh-trace version -o json`

// newVersionCommand is `version`.
func newVersionCommand(streams genericiooptions.IOStreams, build Build, deps Deps) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:                   "version [-o json|yaml]",
		DisableFlagsInUseLine: true,
		Short:                 "Print the version of this command and the newest Istio release it knows",
		Long:                  versionLong,
		Example:               versionExample,
		Args:                  noArguments,
		RunE: func(*cobra.Command, []string) error {
			b := build.complete()
			output := []byte(b.String() + "\n")
			if format != "" {
				var err error
				output, err = encode(buildDocument{
					b.Version, b.Commit, b.Modified, b.Date, runtime.Version(),
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
	addDataFormat(c, deps, &format)
	return c
}

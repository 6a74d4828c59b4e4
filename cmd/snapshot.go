package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/mesh-trace/kubectl-mesh-trace/cmd/snapshot"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/render"
)

const snapshotLong = `Write the objects that traces of requests need, to be replayed with -f.

The requests are traced, and what their traces depend on is written as
manifests: the objects, each with the fields that a trace reads, and a document
of kind Snapshot with what is no object (the Istio release, the mesh config, what
could not be read, the requests). What is written is read again and traced before
it is let out: 'kubectl mesh-trace -f' on it gives the same traces.

Not written are Secrets' data, tokens (of which the claims stay that a trace
depends on), variables of containers, arguments, volumes, annotations and labels
that no trace reads, and values of headers and of the query that change nothing.
Names are written, unless --redact-names replaces them: each word by another one
everywhere, such that every rule still matches as it did.

It is meant to be attached to a report. Read it before you send it.`

const snapshotExample = `  # What does this request depend on?
  kubectl mesh-trace snapshot reviews.shop:9080/reviews/0

  # In a file, to attach to an issue, and replayed
  kubectl mesh-trace snapshot --from shop/deployment/web reviews:9080/reviews/0 -o snapshot.yaml
  kubectl mesh-trace -f snapshot.yaml --from shop/deployment/web reviews:9080/reviews/0

  # Two requests, a file for each kind and namespace, without the names
  kubectl mesh-trace snapshot --redact-names https://shop.example.com/cart https://shop.example.com/pay -o snapshot/

  # The part of many manifests that one request needs
  kubectl mesh-trace snapshot -f manifests/ -R reviews.shop:9080/ -o small.yaml`

// snapshotFlags are the flags of `snapshot`.
type snapshotFlags struct {
	request     requestFlags
	mesh        *meshFlags
	output      string
	redactNames bool
}

// newSnapshotCommand is `snapshot`: the objects that traces need.
func newSnapshotCommand(streams genericiooptions.IOStreams, build Build, deps Deps) *cobra.Command {
	flags := &snapshotFlags{mesh: newMeshFlags()}
	c := &cobra.Command{
		Use:                   "snapshot [flags] URL... [-o DIR|FILE]",
		Short:                 "Write the objects that traces need, to replay them elsewhere",
		Long:                  snapshotLong,
		Example:               snapshotExample,
		DisableFlagsInUseLine: true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("a URL is missing: expected [scheme://]host[:port][/path][?query]")
			}
			return nil
		},
		RunE: runs(func(_ *cobra.Command, args []string) (*snapshotOptions, error) {
			return flags.ToOptions(args, streams, build, deps)
		}),
	}
	flags.request.AddFlags(c)
	flags.mesh.addMeshFlags(c)
	flags.mesh.addClusterFlags(c)
	c.Flags().StringVarP(&flags.output, "output", "o", "-", "Where to write: a file (.yaml or .yml), a directory for a file each kind and namespace, or - for stdout.")
	c.Flags().BoolVar(&flags.redactNames, "redact-names", false, "Replace names of namespaces, objects, hosts, labels and paths, each word by the same one everywhere.")
	completeRequests(c, flags.mesh, streams, build, deps)
	return c
}

// ToOptions parses what was typed.
func (f *snapshotFlags) ToOptions(urls []string, streams genericiooptions.IOStreams, build Build, deps Deps) (*snapshotOptions, error) {
	o := &snapshotOptions{output: f.output, streams: streams}
	for _, url := range urls {
		typed, err := f.request.toTyped(url)
		if err != nil {
			return nil, err
		}
		if _, err := newRequest(typed); err != nil {
			return nil, err
		}
		o.requests = append(o.requests, typed)
	}
	var err error
	if o.mesh, err = f.mesh.ToOptions(streams, build, deps); err != nil {
		return nil, err
	}
	o.snapshot = snapshot.Options{Version: build.complete().Version, RedactNames: f.redactNames}
	return o, nil
}

// snapshotOptions are the requests of a snapshot, and where it goes.
type snapshotOptions struct {
	requests []trace.Typed
	mesh     *meshOptions
	snapshot snapshot.Options
	output   string
	streams  genericiooptions.IOStreams
}

// Validate refuses what does not go together.
func (o *snapshotOptions) Validate() error {
	if o.output == "" {
		return usagef("--output is empty: expected a file, a directory or -")
	}
	return o.mesh.Validate()
}

// Run takes the snapshot and writes it: all of it, or nothing.
func (o *snapshotOptions) Run(ctx context.Context) error {
	namespace, err := o.mesh.Namespace()
	if err != nil {
		return err
	}
	for i := range o.requests {
		o.requests[i].Namespace = namespace
	}
	if err := o.free(); err != nil {
		return err
	}
	in, err := o.mesh.Input(ctx)
	defer o.mesh.progress.Done()
	if err != nil {
		return err
	}
	s, err := snapshot.Take(in, o.requests, o.snapshot)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil { // it has asked the cluster for more
		return err
	}
	o.mesh.progress.Done()
	if err := o.write(s); err != nil {
		return err
	}
	o.tell(s)
	return nil
}

// isFile reports whether the output is one file.
func (o *snapshotOptions) isFile() bool {
	return slices.Contains([]string{".yaml", ".yml"}, filepath.Ext(o.output)) && !strings.HasSuffix(o.output, string(filepath.Separator))
}

// free refuses a directory that has something in it: what is there would be replayed, too.
func (o *snapshotOptions) free() error {
	if o.output == "-" || o.isFile() {
		return nil
	}
	entries, err := os.ReadDir(o.output)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("write the snapshot: %w (a file is named .yaml or .yml)", err)
	case len(entries) > 0:
		return fmt.Errorf("write the snapshot: directory %s is not empty; what is in it would be replayed as well", o.output)
	}
	return nil
}

func (o *snapshotOptions) write(s *snapshot.Snapshot) error {
	if o.output != "-" && !o.isFile() {
		return o.writeDirectory(s)
	}
	text, err := s.YAML()
	if err != nil {
		return err
	}
	if o.output == "-" {
		_, err = o.streams.Out.Write(text)
		return err
	}
	if err := os.WriteFile(o.output, text, 0o600); err != nil {
		return fmt.Errorf("write the snapshot: %w", err)
	}
	return nil
}

func (o *snapshotOptions) writeDirectory(s *snapshot.Snapshot) error {
	files, err := s.Files()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(o.output, 0o700); err != nil {
		return fmt.Errorf("write the snapshot: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := os.WriteFile(filepath.Join(o.output, name), files[name], 0o600); err != nil {
			return fmt.Errorf("write the snapshot: %w", err)
		}
	}
	return nil
}

// tell says on stderr what was written, and what is to be looked at.
func (o *snapshotOptions) tell(s *snapshot.Snapshot) {
	for _, w := range s.Warnings {
		warn(o.streams.ErrOut, w)
	}
	if o.output == "-" {
		return
	}
	kinds := s.Kinds()
	var counts []string
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		counts = append(counts, fmt.Sprintf("%d %s", kinds[kind], kind))
	}
	o.say("%s: %s", o.output, strings.Join(counts, ", "))
	o.say("Read it before you send it. It is replayed with:")
	for _, q := range s.Document.Requests {
		o.say("  %s", strings.Replace(q.Command, "FILE", o.output, 1))
	}
}

func (o *snapshotOptions) say(format string, args ...any) {
	_, _ = io.WriteString(o.streams.ErrOut, render.EscapeLines(fmt.Sprintf(format, args...))+"\n")
}

package cmd

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/mesh-trace/kubectl-mesh-trace/cmd/diff"
	"github.com/mesh-trace/kubectl-mesh-trace/cmd/load"
	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

const diffLong = `Compare what is decided about requests before and after a change.

The two sides are, whichever is given:
  --base DIR -f DIR   two sets of manifests (-R for both)
  --overlay FILE      the cluster, or the manifests of -f, without and with the overlay
  -f FILE             the cluster without and with these manifests applied over it

Each request is traced on both sides. What is delivered before and not after is
broken, the reverse repaired; then come requests that moved to another backend or
are split otherwise, that changed in another way (status, flags, code, what is
forwarded), and those of which a side can not be known from here. Requests of the
same cause are one line, with one command to look at.`

const diffExample = `  # Does this change break a request?
  kubectl mesh-trace diff -f new-policy.yaml --from shop/deployment/web reviews.shop:9080/reviews/0

  # Two checkouts, without a cluster
  kubectl mesh-trace diff --base main/manifests -f manifests -R https://shop.example.com/ https://shop.example.com/cart

  # Manifests, and what a change would make of them, as a comment on a pull request
  kubectl mesh-trace diff -f manifests/ --overlay change.yaml -o markdown https://shop.example.com/cart`

const diffExit = `Exit codes:
  0  no decision differs
  1  the command failed; the reason is on stderr
  2  wrong usage
  3  a decision differs
`

// errDiffers is that of a comparison, which is printed and says it all.
var errDiffers = errors.New("decisions differ")

// diffFlags are the flags of `diff`.
type diffFlags struct {
	request requestFlags
	mesh    *meshFlags
	base    []string
	output  string
}

// diffFormats are the values of -o.
var diffFormats = []string{"text", "wide", "json", "yaml", "markdown"}

// newDiffCommand is `diff`: decisions before and after a change.
func newDiffCommand(streams genericiooptions.IOStreams, build Build, deps Deps) *cobra.Command {
	flags := &diffFlags{mesh: newMeshFlags()}
	c := &cobra.Command{
		Use:                   "diff [flags] URL...",
		Short:                 "Compare decisions before and after a change",
		Long:                  diffLong,
		Example:               diffExample,
		Annotations:           map[string]string{exitCodes: diffExit},
		DisableFlagsInUseLine: true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("a URL is missing: expected [scheme://]host[:port][/path][?query]")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			options, err := flags.ToOptions(args, streams, build, deps)
			if err != nil {
				return err
			}
			if err := options.Validate(); err != nil {
				return err
			}
			return options.Run(c.Context())
		},
	}
	flags.request.AddFlags(c)
	flags.mesh.addMeshFlags(c)
	flags.mesh.addClusterFlags(c)
	c.Flags().StringArrayVar(&flags.base, "base", nil, "The manifests before the change (file, directory or stdin); repeatable. -f has those after it.")
	c.Flags().StringVarP(&flags.output, "output", "o", "text", "Output format. One of: ("+strings.Join(diffFormats, ", ")+").")
	completeRequests(c, flags.mesh, streams, build, deps)
	complete(c, "output", oneOf(diffFormats...))
	return c
}

// ToOptions parses what was typed.
func (f *diffFlags) ToOptions(urls []string, streams genericiooptions.IOStreams, build Build, deps Deps) (*diffOptions, error) {
	o := &diffOptions{output: f.output, streams: streams}
	for _, url := range urls {
		typed, err := f.request.toTyped(url)
		if err != nil {
			return nil, err
		}
		if _, err := newRequest(typed); err != nil {
			return nil, err
		}
		o.requests = append(o.requests, diff.Request{Typed: typed})
	}
	mesh, err := f.mesh.ToOptions(streams, build, deps)
	if err != nil {
		return nil, err
	}
	if slices.Contains(f.base, "") {
		return nil, usagef("--base is empty: expected a file, a directory or -")
	}
	o.sides = sidesOf(mesh, f.base)
	return o, nil
}

// diffOptions are a comparison.
type diffOptions struct {
	requests []diff.Request
	sides    sides
	output   string
	streams  genericiooptions.IOStreams
}

// Validate refuses what does not go together.
func (o *diffOptions) Validate() error {
	if !slices.Contains(diffFormats, o.output) {
		return usagef("--output %q: expected one of %s", o.output, strings.Join(diffFormats, ", "))
	}
	return o.sides.Validate()
}

// Run compares and prints.
func (o *diffOptions) Run(ctx context.Context) error {
	defer o.sides.done()
	before, after, err := o.sides.Load(ctx)
	if err != nil {
		return err
	}
	for i := range o.requests {
		o.requests[i].Namespace = o.sides.namespace
	}
	c, err := diff.Compare(ctx, before, after, o.requests)
	if err != nil {
		return err
	}
	output, err := o.print(c)
	if err != nil {
		return err
	}
	o.sides.done()
	if _, err := o.streams.Out.Write(output); err != nil {
		return err
	}
	if c.Differs() {
		return errDiffers
	}
	return nil
}

func (o *diffOptions) print(c *diff.Comparison) ([]byte, error) {
	switch o.output {
	case "text", "wide":
		return c.Text(o.output == "wide"), nil
	case "markdown":
		return c.Markdown(), nil
	}
	return encode(c.NewDocument(), o.output)
}

// sides are the two meshes to compare. Where the one before is read apart, after is not nil; else the overlay of before
// makes the one after.
type sides struct {
	before, after *meshOptions
	base          []string
	namespace     string
}

// sidesOf finds out which two sides were meant; see diffLong.
func sidesOf(mesh *meshOptions, base []string) sides {
	before := *mesh
	switch {
	case len(base) > 0:
		before.filenames, before.kustomize, before.overlays, before.offline = base, "", nil, true
		return sides{before: &before, after: mesh, base: base}
	case len(mesh.overlays) == 0 && mesh.offline:
		before.overlays, before.overlayKustomize = mesh.filenames, mesh.kustomize
		before.filenames, before.kustomize, before.offline = nil, "", false
	}
	return sides{before: &before}
}

// Validate refuses sides that are one.
func (s *sides) Validate() error {
	switch {
	case s.after != nil && !s.after.offline && len(s.after.overlays) == 0:
		return usagef("--base needs the manifests after the change: --filename (-f) or --kustomize (-k)")
	case s.after != nil && slices.Contains(s.base, "-") && slices.Contains(slices.Concat(s.after.filenames, s.after.overlays), "-"):
		return usagef("- is given twice; stdin can be read once")
	case s.after == nil && len(s.before.overlays) == 0 && s.before.overlayKustomize == "":
		return usagef("nothing to compare: expected --filename (-f) with what is to be applied over the cluster, --overlay, or --base and --filename")
	}
	if s.after != nil {
		if !s.after.offline { // the overlay is over the base
			s.after.filenames, s.after.offline = s.base, true
		}
		return s.after.Validate()
	}
	return s.before.Validate()
}

// Load reads both sides.
func (s *sides) Load(ctx context.Context) (before, after diff.Mesh, err error) {
	if s.namespace, err = s.before.Namespace(); err != nil {
		return before, after, err
	}
	var first, second resolve.Input
	if s.after == nil {
		first, second, err = s.before.InputAndOverlaid(ctx)
	} else if first, err = s.before.Input(ctx); err == nil {
		second, err = s.after.Input(ctx)
	}
	if err != nil {
		return before, after, err
	}
	before.Snapshot, after.Snapshot = resolve.NewSnapshot(first), resolve.NewSnapshot(second)
	if s.after == nil {
		before.Flags, after.Flags = s.before.sourceFlags(false), s.before.sourceFlags(true)
	} else {
		before.Flags, after.Flags = s.before.sourceFlags(false), s.after.sourceFlags(true)
	}
	before.Name, after.Name = sideName(before.Flags), sideName(after.Flags)
	return before, after, nil
}

// sideName says what the flags read.
func sideName(flags []string) string {
	text := strings.Join(flags, " ")
	if len(flags) == 0 || flags[0] == "--overlay" {
		text = strings.TrimSpace("the cluster " + text)
	}
	return text
}

// done ends the progress of a cluster being read.
func (s *sides) done() {
	s.before.progress.Done()
	if s.after != nil {
		s.after.progress.Done()
	}
}

// InputAndOverlaid reads the resources once, and lays the overlays over them.
func (o *meshOptions) InputAndOverlaid(ctx context.Context) (plain, overlaid resolve.Input, err error) {
	without := *o
	without.overlays, without.overlayKustomize = nil, ""
	plain, err = without.Input(ctx)
	o.progress = without.progress
	if err != nil {
		return plain, overlaid, err
	}
	plain.Deferred = load.Remembered(plain.Deferred)
	overlaid = plain
	return plain, overlaid, o.settle(&overlaid)
}

// sourceFlags are the flags that read the same again, as far as they name files, a context or a release.
func (o *meshOptions) sourceFlags(overlaid bool) []string {
	var flags []string
	add := func(flag string, values ...string) {
		for _, v := range values {
			if v != "" {
				flags = append(flags, flag, v)
			}
		}
	}
	add("-f", o.filenames...)
	add("-k", o.kustomize)
	if overlaid {
		add("--overlay", o.overlays...)
	}
	if o.recursive {
		flags = append(flags, "-R")
	}
	if !o.offline {
		add("--context", *o.config.Context)
	}
	add("--mesh-config", o.meshConfig)
	add("--revision", o.revision)
	return flags
}

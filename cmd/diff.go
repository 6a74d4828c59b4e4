package cmd

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/mesh-trace/kubectl-mesh-trace/cmd/casefile"
	"github.com/mesh-trace/kubectl-mesh-trace/cmd/diff"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/derive"
)

const diffLong = `Compare what is decided about requests before and after a change.

The two sides are, whichever is given:
  --base DIR -f DIR   two sets of manifests (-R for both)
  --overlay FILE      the cluster, or the manifests of -f, without and with the overlay
  -f FILE             the cluster without and with these manifests applied over it

Requests are the URLs with the flags of a request, and those of case files (--cases),
whose manifests and expectations do not count here. Without any they are made of the
configuration of both sides: one for each port of each host, for each match of each
route and just beside each of its clauses, and for each rule of each policy, by a
client that it names and by one that it does not.

Each request is traced on both sides. What is delivered before and not after is
broken, the reverse repaired; then come requests that moved to another backend or
are split otherwise, that changed in another way (status, flags, code, what is
forwarded), that are decided alike but not as surely (an EnvoyFilter or a WasmPlugin
was added or is another one), and those of which a side can not be known from here.
Requests of the same cause are one line, with one command to look at.`

const diffExample = `  # Does this change break a request?
  kubectl mesh-trace diff -f new-policy.yaml --from shop/deployment/web reviews.shop:9080/reviews/0

  # All that two checkouts decide differently, without a cluster
  kubectl mesh-trace diff --base main/manifests -f manifests -R

  # The requests of a case file, on the cluster and with the change
  kubectl mesh-trace diff -f new-routes.yaml --cases tests/

  # Manifests, and what a change would make of them, as a comment on a pull request
  kubectl mesh-trace diff -f manifests/ --overlay change.yaml -o markdown`

const diffExit = `Exit codes:
  0  no decision differs
  1  the command failed; the reason is on stderr
  2  wrong usage
  3  a decision differs, or may
`

// errDiffers is that of a comparison, which is printed and says it all.
var errDiffers = errors.New("decisions differ")

// diffFlags are the flags of `diff`.
type diffFlags struct {
	request requestFlags
	mesh    *meshFlags
	base    []string
	cases   []string
	derive  bool
	limit   int
	output  string
	color   colourFlag
}

// diffFormats are the values of -o.
var diffFormats = []string{"text", "wide", "json", "yaml", "markdown"}

// newDiffCommand is `diff`: decisions before and after a change.
func newDiffCommand(streams genericiooptions.IOStreams, build Build, deps Deps) *cobra.Command {
	flags := &diffFlags{mesh: newMeshFlags()}
	c := &cobra.Command{
		Use:                   "diff [flags] [URL...]",
		Short:                 "Compare decisions before and after a change",
		Long:                  diffLong,
		Example:               diffExample,
		Annotations:           map[string]string{exitCodes: diffExit},
		DisableFlagsInUseLine: true,
		RunE: runs(func(_ *cobra.Command, args []string) (*diffOptions, error) {
			return flags.ToOptions(args, streams, build, deps)
		}),
	}
	flags.request.AddFlags(c)
	flags.mesh.addMeshFlags(c)
	flags.mesh.addClusterFlags(c)
	c.Flags().StringArrayVar(&flags.base, "base", nil, "The manifests before the change (file, directory or stdin); repeatable. -f has those after it.")
	c.Flags().StringArrayVar(&flags.cases, "cases", nil, "Compare the requests of these case files (file, directory or stdin), as 'test' takes them; repeatable.")
	c.Flags().BoolVar(&flags.derive, "derive", false, "Make requests of the configuration, besides those that are given; the default where there is none.")
	c.Flags().IntVar(&flags.limit, "limit", derive.DefaultLimit, "How many requests are made of the configuration at most; those of objects that changed go first.")
	c.Flags().StringVarP(&flags.output, "output", "o", "text", "Output format. One of: ("+strings.Join(diffFormats, ", ")+").")
	flags.color.addFlag(c)
	completeRequests(c, flags.mesh, streams, build, deps)
	deps.complete(c, "output", oneOf(diffFormats...))
	deps.complete(c, "color", oneOf(colours...))
	return c
}

// ToOptions parses what was typed.
func (f *diffFlags) ToOptions(urls []string, streams genericiooptions.IOStreams, build Build, deps Deps) (*diffOptions, error) {
	o := &diffOptions{output: f.output, derive: f.derive || len(urls)+len(f.cases) == 0, limit: f.limit, streams: streams}
	var err error
	if o.colour, err = f.color.wanted(streams.Out); err != nil {
		return nil, err
	}
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
	if err := o.readCases(f.cases, f.mesh.recursive); err != nil {
		return nil, err
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

// readCases adds the requests of case files.
func (o *diffOptions) readCases(paths []string, recursive bool) error {
	if slices.Contains(paths, "") {
		return usagef("--cases is empty: expected a file, a directory or -")
	}
	suites, err := casefile.Read(paths, casefile.Options{Recursive: recursive, Stdin: o.streams.In})
	if err != nil {
		return caseFileError{err}
	}
	for _, suite := range suites {
		for _, one := range suite.Cases {
			o.requests = append(o.requests, diff.Request{Typed: one.Request, Why: suite.Name + "/" + one.Name})
		}
	}
	return nil
}

// diffOptions are a comparison.
type diffOptions struct {
	requests []diff.Request
	// derive makes more requests of the configuration, limit at most.
	derive  bool
	limit   int
	sides   sides
	output  string
	colour  bool
	streams genericiooptions.IOStreams
}

// Validate refuses what does not go together.
func (o *diffOptions) Validate() error {
	if !slices.Contains(diffFormats, o.output) {
		return usagef("--output %q: expected one of %s", o.output, strings.Join(diffFormats, ", "))
	}
	if o.limit < 1 {
		return usagef("--limit %d: expected a number of requests from 1", o.limit)
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
		o.requests[i].Namespace = cmp.Or(o.requests[i].Namespace, o.sides.namespace)
	}
	from, err := o.made(before, after)
	if err != nil {
		return err
	}
	c, err := diff.Compare(ctx, before, after, o.requests, o.sides.changed)
	if err != nil {
		return err
	}
	c.From = from
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

// made adds the requests that are made of the configuration, and says where requests came from.
func (o *diffOptions) made(before, after diff.Mesh) (string, error) {
	if !o.derive {
		return "", nil
	}
	result, err := derive.Requests(derive.Options{Limit: o.limit, First: o.sides.changed}, before.Snapshot, after.Snapshot)
	if err != nil {
		return "", err
	}
	for _, r := range result.Requests {
		o.requests = append(o.requests, diff.Request{Typed: r.Typed, Why: r.Of.String() + ": " + r.What})
	}
	return result.String(), nil
}

func (o *diffOptions) print(c *diff.Comparison) ([]byte, error) {
	switch o.output {
	case "text", "wide":
		return c.Text(diff.TextOptions{Wide: o.output == "wide", Colour: o.colour}), nil
	case "markdown":
		return c.Markdown(), nil
	}
	return encode(c.NewDocument(), o.output)
}

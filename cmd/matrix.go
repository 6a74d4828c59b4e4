package cmd

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/reach"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/reach/show"
)

const matrixLong = `Show who can send what: many sources, many requests, one sign a cell.

The requests are the URLs, and those to all ports of the Services that --to names,
each with every method of -X. The sources are those of --from, without it every
workload, and a client outside the cluster where a gateway serves one of the hosts.
Every cell is what a trace of that request from that source says: D delivered, A
denied by authorization, N not routed, U unavailable, R reset, > redirected, =
answered by a proxy, % split between several ends. A * behind it is an assumption,
a ? not known from here.

Large tables have a row and a column for each namespace; ~ is a cell in which not
all fare alike. --by says what is wanted; -o json and csv always have everything,
unless --by namespace is given with csv.`

const matrixExample = `  # Who can call what in the namespace shop?
  kubectl mesh-trace matrix --from shop --to shop

  # The whole mesh, by namespace
  kubectl mesh-trace matrix --to all --by namespace

  # Two requests, reading and writing, for a spreadsheet
  kubectl mesh-trace matrix -X GET -X DELETE -o csv http://ratings.shop:9080/ratings/1 http://reviews.shop:9080/

  # Everything that some frontends cannot reach
  kubectl mesh-trace matrix --from 'shop/web*' --to 'shop/*' -o json | jq '.answers[] | select(.reach == "stopped")'`

// matrixFormats are the values of -o.
var matrixFormats = []string{"text", "wide", "json", "yaml", "csv", "markdown"}

// matrixFlags are the flags of `matrix`.
type matrixFlags struct {
	request    requestFlags
	mesh       *meshFlags
	from, to   []string
	methods    []string
	path       string
	by, output string
}

// newMatrixCommand is `matrix`: many requests from many sources.
func newMatrixCommand(streams genericiooptions.IOStreams, build Build, deps Deps) *cobra.Command {
	flags := &matrixFlags{mesh: newMeshFlags()}
	c := &cobra.Command{
		Use:                   "matrix [flags] [URL...] [--to SERVICES]",
		Short:                 "Show who can send what: sources by requests",
		Long:                  matrixLong,
		Example:               matrixExample,
		DisableFlagsInUseLine: true,
		RunE: runs(func(_ *cobra.Command, args []string) (*matrixOptions, error) {
			return flags.ToOptions(args, streams, build, deps)
		}),
	}
	flags.request.addContent(c)
	addSourcePatterns(c, &flags.from)
	fs := c.Flags()
	fs.StringArrayVar(&flags.to, "to", nil, "The Services that are called, each by all its ports; repeatable: all, NAMESPACE or NAMESPACE/NAME. In names * stands for any characters.")
	fs.StringArrayVarP(&flags.methods, "method", "X", nil, "The HTTP method (default GET; gRPC is always POST); repeatable.")
	fs.StringVar(&flags.path, "path", "/", "The path of the requests to the Services of --to.")
	fs.StringVar(&flags.by, "by", string(show.ByAuto), "What a row and a column stand for: workload, namespace, or auto (by namespace where the table would be too large).")
	flags.mesh.addMeshFlags(c)
	flags.mesh.addClusterFlags(c)
	addFormats(c, deps, &flags.output, matrixFormats...)
	completeRequests(c, flags.mesh, streams, build, deps)
	deps.complete(c, "by", oneOf(show.Bys...))
	return c
}

// ToOptions parses what was typed.
func (f *matrixFlags) ToOptions(urls []string, streams genericiooptions.IOStreams, build Build, deps Deps) (*matrixOptions, error) {
	o := &matrixOptions{
		crowdOptions: crowdOptions{from: f.from, output: f.output, streams: streams},
		urls:         urls, request: f.request, methods: f.methods, path: f.path, by: show.By(f.by),
	}
	switch {
	case len(urls) == 0 && len(f.to) == 0:
		return nil, usagef("nothing is asked: expected URLs, or --to with the Services that are called")
	case !slices.Contains(show.Bys, f.by):
		return nil, usagef("--by %q: expected one of %s", f.by, strings.Join(show.Bys, ", "))
	case !strings.HasPrefix(f.path, "/"):
		return nil, usagef("--path %q: expected a path that begins with /", f.path)
	}
	if err := checkFormat(f.output, matrixFormats...); err != nil {
		return nil, err
	}
	if len(o.methods) == 0 {
		o.methods = []string{""}
	}
	for _, text := range f.to {
		p, err := reach.ParseService(text)
		if err != nil {
			return nil, usagef("--to %w", err)
		}
		o.to = append(o.to, p)
	}
	if _, err := o.requests(append([]string{"http://x" + f.path}, urls...)); err != nil {
		return nil, err
	}
	var err error
	o.mesh, err = f.mesh.ToOptions(streams, build, deps)
	return o, err
}

// matrixOptions are who asks what.
type matrixOptions struct {
	crowdOptions
	urls, methods []string
	to            []reach.Pattern
	request       requestFlags
	path          string
	by            show.By
}

// requests are those of the URLs, with each of the methods. What has no method is asked once.
func (o *matrixOptions) requests(urls []string) ([]trace.Request, error) {
	var out []trace.Request
	for _, url := range urls {
		for i, method := range o.methods {
			flags := o.request
			flags.typed.Method = method
			if i > 0 && fixedMethod(url) {
				continue
			}
			if fixedMethod(url) {
				flags.typed.Method = ""
			}
			q, err := flags.ToOptions(url)
			if err != nil {
				return nil, err
			}
			out = append(out, q)
		}
	}
	return out, nil
}

// fixedMethod reports whether a URL's scheme leaves no choice of the method.
func fixedMethod(url string) bool {
	scheme, _, ok := strings.Cut(url, "://")
	return ok && !slices.Contains([]trace.Scheme{trace.HTTP, trace.HTTPS}, trace.Scheme(strings.ToLower(scheme)))
}

// Run makes the matrix and prints it.
func (o *matrixOptions) Run(ctx context.Context) error {
	return o.run(ctx, func(snapshot *resolve.Snapshot, from []reach.Pattern, namespace string) (func() ([]byte, error), error) {
		m, err := o.matrix(ctx, snapshot, from, namespace)
		return func() ([]byte, error) { return o.render(m, snapshot) }, err
	})
}

// matrix asks everybody everything.
func (o *matrixOptions) matrix(ctx context.Context, snapshot *resolve.Snapshot, patterns []reach.Pattern, namespace string) (*reach.Matrix, error) {
	urls, err := reach.URLs(snapshot, o.to, o.path)
	if err != nil {
		return nil, err
	}
	requests, err := o.requests(append(slices.Clone(o.urls), urls...))
	if err != nil {
		return nil, err
	}
	for i, q := range requests {
		requests[i] = reach.Qualify(snapshot, q, namespace)
	}
	questions := reach.Questions(snapshot, requests...)
	sources, warnings, err := reach.MatrixSources(snapshot, patterns, questions)
	if err != nil {
		return nil, err
	}
	m, err := reach.NewMatrix(ctx, snapshot, sources, questions)
	if err != nil {
		return nil, err
	}
	m.Warn(warnings...)
	return m, nil
}

func (o *matrixOptions) render(m *reach.Matrix, snapshot *resolve.Snapshot) ([]byte, error) {
	switch o.output {
	case "json":
		return show.NewMatrix(m, snapshot.Locate).JSON()
	case "yaml":
		return encode(show.NewMatrix(m, snapshot.Locate), "yaml")
	case "csv":
		return show.CSV(m, o.by)
	case "markdown":
		return show.Markdown(m, o.by), nil
	}
	return show.Table(m, o.by, show.Options{Wide: o.output == "wide", Width: terminalWidth(o.streams.Out), Locate: snapshot.Locate}), nil
}

package cmd

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/mesh-trace/kubectl-mesh-trace/cmd/accesslog"
	"github.com/mesh-trace/kubectl-mesh-trace/cmd/fromlog"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

const fromLogLong = `Trace the requests of access-log lines, and compare.

Lines of Envoy (Istio's text formats, its JSON encoding, or a format string given
with --format) and of ztunnel are read from files or stdin. Each becomes a request;
its trace is compared with what the log says happened: code, flags, details,
cluster, route and upstream host. Lines that agree are counted; those that do not
are shown in groups, with what could explain them: the configuration is that of
now, headers and tokens are not in the log, and no configuration decides what took
too long.

Which proxy wrote a line is found by 'kubectl logs --prefix', by the addresses of
pods, or named with --proxy. A line that is no access-log line that is known is
counted and shown.`

const fromLogExample = `  # What does the sidecar of web see that it should not?
  kubectl logs -n shop deploy/web -c istio-proxy --prefix | kubectl mesh-trace from-log -n shop

  # The gateway's, with the headers that its log does not have
  kubectl mesh-trace from-log --proxy istio-system/deployment/istio-ingressgateway -H 'x-canary: true' gateway.log

  # A format of one's own, and a failure where the log and the trace disagree
  kubectl mesh-trace from-log --format '%RESPONSE_CODE% %REQ(:METHOD)% %REQ(:AUTHORITY)% %REQ(:PATH)%' --proxy shop/deployment/web --exit-code web.log`

const fromLogExit = `Exit codes:
  0  the lines were compared, whatever came of it
  1  the command failed; the reason is on stderr
  2  wrong usage
  3  with --exit-code: a line says something else than its trace
`

// errDisagrees is --exit-code's: the comparison is printed and says it all.
var errDisagrees = errors.New("a line says something else than its trace")

// fromLogFlags are the flags of `from-log`.
type fromLogFlags struct {
	mesh            *meshFlags
	proxy, from     string
	headers, claims []string
	format          string
	exitCode        bool
	output          string
	color           colourFlag
}

// fromLogFormats are the values of -o.
var fromLogFormats = []string{"text", "wide", "json", "yaml"}

// newFromLogCommand is `from-log`: access-log lines to traces.
func newFromLogCommand(streams genericiooptions.IOStreams, build Build, deps Deps) *cobra.Command {
	flags := &fromLogFlags{mesh: newMeshFlags()}
	c := &cobra.Command{
		Use:                   "from-log [flags] [FILE...]",
		Short:                 "Compare access-log lines with the traces of their requests",
		Long:                  fromLogLong,
		Example:               fromLogExample,
		Annotations:           map[string]string{exitCodes: fromLogExit},
		DisableFlagsInUseLine: true,
		RunE: runs(func(_ *cobra.Command, args []string) (*fromLogOptions, error) {
			return flags.ToOptions(args, streams, build, deps)
		}),
	}
	fs := c.Flags()
	fs.StringVar(&flags.proxy, "proxy", "", "Whose proxy wrote the lines: [NAMESPACE/]KIND/NAME or a pod's name, in place of what the lines tell.")
	fs.StringVar(&flags.from, "from", "", "Who sent the requests, where the lines do not tell: [NAMESPACE/]KIND/NAME, a pod's name, or external.")
	fs.StringArrayVarP(&flags.headers, "header", "H", nil, "A header that all requests had, as 'Name: value', which the log does not have; repeatable.")
	fs.StringArrayVar(&flags.claims, "claim", nil, "A claim of the end-user token that all requests had, as KEY=VALUE; repeatable.")
	fs.StringVar(&flags.format, "format", "", "The format string of the lines, as accessLogFormat of the mesh config has it, besides Istio's own.")
	fs.BoolVar(&flags.exitCode, "exit-code", false, "Exit with code 3 if a line says something else than its trace.")
	fs.StringVarP(&flags.output, "output", "o", "text", "Output format. One of: ("+strings.Join(fromLogFormats, ", ")+").")
	flags.color.addFlag(c)
	flags.mesh.addMeshFlags(c)
	flags.mesh.addClusterFlags(c)
	completeMesh(c, flags.mesh, streams, build, deps)
	sources := completeFrom(flags.mesh, streams, build, deps)(sourcesOf, cobra.ShellCompDirectiveNoFileComp, sourceQueries)
	deps.complete(c, "from", sources)
	deps.complete(c, "proxy", sources)
	deps.complete(c, "output", oneOf(fromLogFormats...))
	deps.complete(c, "color", oneOf(colours...))
	return c
}

// ToOptions parses what was typed.
func (f *fromLogFlags) ToOptions(files []string, streams genericiooptions.IOStreams, build Build, deps Deps) (*fromLogOptions, error) {
	o := &fromLogOptions{files: files, output: f.output, exitCode: f.exitCode, streams: streams}
	o.options = fromlog.Options{Proxy: f.proxy, From: f.from, Headers: f.headers, Claims: f.claims}
	for _, typed := range []trace.Typed{{URL: "any", From: f.from, Headers: f.headers, Claims: f.claims}} {
		if _, err := newRequest(typed); err != nil {
			return nil, err
		}
	}
	if spec, err := trace.ParseSource(f.proxy); err != nil || spec.External {
		return nil, usagef("--proxy %q: expected [NAMESPACE/]KIND/NAME, or a pod's name", f.proxy)
	}
	var formats []*accesslog.Format
	if f.format != "" {
		format, err := accesslog.NewFormat(f.format)
		if err != nil {
			return nil, usagef("--format %w", err)
		}
		formats = append(formats, format)
	}
	var err error
	if o.colour, err = f.color.wanted(streams.Out); err != nil {
		return nil, err
	}
	if o.reader, err = accesslog.NewReader(formats...); err != nil {
		return nil, err
	}
	o.mesh, err = f.mesh.ToOptions(streams, build, deps)
	return o, err
}

// fromLogOptions are lines to compare.
type fromLogOptions struct {
	files    []string
	mesh     *meshOptions
	reader   *accesslog.Reader
	options  fromlog.Options
	output   string
	exitCode bool
	colour   bool
	streams  genericiooptions.IOStreams
}

// Validate refuses what does not go together.
func (o *fromLogOptions) Validate() error {
	stdin := len(o.files) == 0 || slices.Contains(o.files, "-")
	switch {
	case !slices.Contains(fromLogFormats, o.output):
		return usagef("--output %q: expected one of %s", o.output, strings.Join(fromLogFormats, ", "))
	case stdin && slices.Contains(slices.Concat(o.mesh.filenames, o.mesh.overlays), "-"):
		return usagef("stdin can be read once: name a file for the lines, or for --filename (-f) and --overlay")
	case slices.Contains(o.files, ""):
		return usagef("the name of a file is empty")
	}
	return o.mesh.Validate()
}

// Run reads the mesh and the lines, and prints what came of them.
func (o *fromLogOptions) Run(ctx context.Context) error {
	defer func() { o.mesh.progress.Done() }()
	var err error
	if o.options.Namespace, err = o.mesh.Namespace(); err != nil {
		return err
	}
	logs, closeAll, err := o.open()
	defer closeAll()
	if err != nil {
		return err
	}
	snapshot, err := o.mesh.Load(ctx)
	if err != nil {
		return err
	}
	o.options.Flags = o.mesh.sourceFlags(true)
	result, err := fromlog.Compare(ctx, snapshot, o.reader, logs, o.options)
	if err != nil {
		return err
	}
	output := result.Text(fromlog.TextOptions{Wide: o.output == "wide", Colour: o.colour})
	if o.output == "json" || o.output == "yaml" {
		if output, err = encode(result.NewDocument(), o.output); err != nil {
			return err
		}
	}
	o.mesh.progress.Done()
	if _, err := o.streams.Out.Write(output); err != nil {
		return err
	}
	if o.exitCode && result.Counts[fromlog.Disagrees] > 0 {
		return errDisagrees
	}
	return nil
}

// open opens the files; stdin without any.
func (o *fromLogOptions) open() (logs []fromlog.Log, closeAll func(), err error) {
	var files []io.Closer
	closeAll = func() {
		for _, f := range files {
			_ = f.Close() // they were read
		}
	}
	names := o.files
	if len(names) == 0 {
		names = []string{"-"}
	}
	for _, name := range names {
		if name == "-" {
			logs = append(logs, fromlog.Log{Name: "<stdin>", Reader: o.streams.In})
			continue
		}
		file, err := os.Open(name)
		if err != nil {
			return nil, closeAll, err
		}
		files = append(files, file)
		logs = append(logs, fromlog.Log{Name: name, Reader: file})
	}
	return logs, closeAll, nil
}

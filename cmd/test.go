package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/mesh-trace/kubectl-mesh-trace/cmd/casefile"
	"github.com/mesh-trace/kubectl-mesh-trace/cmd/caserun"
	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/coverage"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/render"
)

const testLong = `Trace the requests of case files, and compare each trace with what is expected.

A case file has documents of kind TraceTest: where the manifests are, and cases,
each with a request and what is expected of its trace. Lists in a request
multiply. docs/test.md says all of it. Test files of istio-config-validator are
taken as they are.

-f names the case files. What they are traced on is what they name under
manifests, relative to themselves; --manifests and -k name others in its place,
for all of them. Where neither names any it is the cluster.

Every case runs. A failure shows what was expected, what the trace has, what
decided it, and the command that traces it again.`

const testExample = `  # All case files of a directory
  kubectl mesh-trace test -f tests/

  # Only some of the cases, and a line for each
  kubectl mesh-trace test -f tests/ --run 'reviews/.*jason' --verbose

  # On the manifests that a chart renders, in place of those that the files name
  helm template shop ./chart | kubectl mesh-trace test -f tests/ --manifests -

  # For a CI system; fail unless the cases decide 80% of the rules
  kubectl mesh-trace test -f tests/ -o junit --fail-under 80 >report.xml

  # Tests of istio-config-validator
  kubectl mesh-trace test -f examples/virtualservice_test.yml --manifests examples/virtualservice.yml`

// testExit is the table of exit codes.
const testExit = `Exit codes:
  0  every case passed
  1  the command failed; the reason is on stderr
  2  wrong usage, or a case file that is not one
  3  a case failed, or --fail-under was missed
`

// testFormats are the values of -o.
var testFormats = []string{"text", "json", "yaml", "junit", "tap"}

// testFlags are the flags of `test`.
type testFlags struct {
	mesh      *meshFlags
	cases     []string
	run       string
	output    string
	verbose   bool
	quiet     bool
	coverage  bool
	failUnder float64
	// written tells a flag that is not given.
	written func(flag string) bool
}

// newTestCommand is `test`: case files.
func newTestCommand(streams genericiooptions.IOStreams, build Build, deps Deps) *cobra.Command {
	flags := &testFlags{mesh: newMeshFlags()}
	c := &cobra.Command{
		Use:                   "test -f CASES... [flags]",
		Short:                 "Run case files: requests, each with what is expected of it",
		Long:                  testLong,
		Example:               testExample,
		Annotations:           map[string]string{exitCodes: testExit},
		DisableFlagsInUseLine: true,
		Args:                  noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			options, err := flags.ToOptions(streams, build, deps)
			if err != nil {
				return err
			}
			return options.Run(c.Context())
		},
	}
	flags.AddFlags(c)
	complete(c, "output", oneOf(testFormats...))
	completeMesh(c, flags.mesh, streams, build, deps)
	return c
}

// AddFlags binds the flags. -f and -R are of case files here; --manifests takes the place of the mesh's -f.
func (f *testFlags) AddFlags(c *cobra.Command) {
	fs, m := c.Flags(), f.mesh
	f.written = fs.Changed
	m.files = genericclioptions.FileNameFlags{
		Usage: "The case files: a file, a directory, or stdin (-); repeatable.", Filenames: &f.cases, Recursive: &m.recursive, Kustomize: &m.kustomize,
	}
	m.addMeshFlags(c)
	m.written = func(flag string) bool { return flag != "filename" && fs.Changed(flag) }
	fs.Lookup("recursive").Usage = "Read the directories below those of -f and of manifests, too."
	fs.Lookup("kustomize").Usage = "Trace on the kustomization of this directory, in place of the manifests that the case files name."
	fs.StringArrayVar(&m.filenames, "manifests", nil, "Trace on the manifests of this file or directory, or of stdin (-), in place of those that the case files name; repeatable. No cluster is contacted.")
	m.addClusterFlags(c)
	fs.StringVar(&f.run, "run", "", "Run only the cases whose SUITE/NAME this regular expression matches.")
	fs.StringVarP(&f.output, "output", "o", "text", "Output format. One of: ("+strings.Join(testFormats, ", ")+").")
	fs.BoolVar(&f.verbose, "verbose", false, "A line for each case, not only for those that fail.")
	fs.BoolVarP(&f.quiet, "quiet", "q", false, "The cases that fail, and nothing else.")
	fs.BoolVar(&f.coverage, "coverage", false, "List the routes, policies and subsets that no case decides. With -o junit and tap, on stderr.")
	fs.Float64Var(&f.failUnder, "fail-under", 0, "Exit with code 3 if the cases decide less than this percentage of the rules; with --coverage's list.")
}

// ToOptions parses what was typed, and reads the case files.
func (f *testFlags) ToOptions(streams genericiooptions.IOStreams, build Build, deps Deps) (*testOptions, error) {
	o := &testOptions{output: f.output, coverage: f.coverage || f.written("fail-under"), failUnder: f.failUnder, streams: streams}
	if err := f.validate(); err != nil {
		return nil, err
	}
	switch {
	case f.verbose:
		o.verbosity = caserun.Verbose
	case f.quiet:
		o.verbosity = caserun.Quiet
	}
	o.runner = caserun.Runner{Walk: deps.Trace, Coverage: o.coverage}
	if f.run != "" {
		pattern, err := regexp.Compile(f.run)
		if err != nil {
			return nil, usagef("--run: expected a regular expression: %v", err)
		}
		o.runner.Only = pattern
	}
	var err error
	if o.mesh, err = f.mesh.ToOptions(streams, build, deps); err != nil {
		return nil, err
	}
	// -R is of the case files as well, so it needs no directory of manifests.
	recursive := o.mesh.recursive
	o.mesh.recursive = false
	if err := o.mesh.Validate(); err != nil {
		return nil, err
	}
	o.mesh.recursive = recursive && o.mesh.kustomize == ""
	if o.suites, err = casefile.Read(f.cases, casefile.Options{Recursive: recursive, Stdin: streams.In}); err != nil {
		return nil, caseFileError{err}
	}
	return o, nil
}

// caseFileError is a case file that is not one; usage errors point to the help, which would not help.
type caseFileError struct{ error }

// Unwrap returns what was refused.
func (e caseFileError) Unwrap() error { return e.error }

func (f *testFlags) validate() error {
	stdin := func(names []string) bool { return slices.Contains(names, "-") }
	switch {
	case len(f.cases) == 0 || slices.Contains(f.cases, ""):
		return usagef("--filename (-f) is missing or empty: expected a case file, a directory or -")
	case !slices.Contains(testFormats, f.output):
		return usagef("--output %q: expected one of %s", f.output, strings.Join(testFormats, ", "))
	case f.verbose && f.quiet:
		return usagef("--verbose can not be used together with --quiet (-q)")
	case f.failUnder < 0 || f.failUnder > 100:
		return usagef("--fail-under %g: expected a percentage from 0 to 100", f.failUnder)
	case stdin(f.cases) && stdin(f.mesh.filenames):
		return usagef("--filename (-f) and --manifests can not both be -; stdin can be read once")
	case f.written("manifests") && slices.Contains(f.mesh.filenames, ""):
		return usagef("--manifests is empty: expected a file, a directory or -")
	}
	return nil
}

// testOptions are case files, and what they are traced on.
type testOptions struct {
	suites    []casefile.Suite
	mesh      *meshOptions
	runner    caserun.Runner
	output    string
	verbosity caserun.Verbosity
	coverage  bool
	failUnder float64
	streams   genericiooptions.IOStreams
}

// Run runs all cases, mesh by mesh, and prints what came of them.
func (o *testOptions) Run(ctx context.Context) error {
	namespace, err := o.mesh.Namespace()
	if err != nil && !o.allOffline() {
		return err
	}
	if err != nil {
		namespace = "default"
	}
	o.runner.Namespace = namespace
	report := &caserun.Report{}
	if o.coverage {
		report.Coverage = &coverage.Report{}
	}
	if err := o.runAll(ctx, report); err != nil {
		return err
	}
	output, err := o.render(report)
	if err != nil {
		return err
	}
	if _, err := o.streams.Out.Write(output); err != nil {
		return err
	}
	return o.judge(report)
}

// allOffline reports whether no suite is traced on the cluster.
func (o *testOptions) allOffline() bool {
	return o.mesh.offline || !slices.ContainsFunc(o.suites, func(s casefile.Suite) bool { return len(s.Manifests) == 0 })
}

// runAll runs the suites of each mesh together; their results stand in the order of the files.
func (o *testOptions) runAll(ctx context.Context, report *caserun.Report) error {
	letGarbageLie(manyTracesPercent)
	bySuite := make([][]caserun.Result, len(o.suites))
	meshes, keys := map[string][]int{}, []string{}
	for i := range o.suites {
		key := o.meshKey(&o.suites[i])
		if meshes[key] == nil {
			keys = append(keys, key)
		}
		meshes[key] = append(meshes[key], i)
		for _, w := range o.suites[i].Warnings {
			warn(o.streams.ErrOut, w)
		}
	}
	for _, key := range keys {
		suites := make([]casefile.Suite, len(meshes[key]))
		for i, index := range meshes[key] {
			suites[i] = o.suites[index]
		}
		results, err := o.runOn(ctx, suites, report)
		if err != nil {
			return err
		}
		for _, index := range meshes[key] {
			n := o.runner.Count(&o.suites[index])
			bySuite[index], results = results[:n], results[n:]
		}
	}
	report.Results = slices.Concat(bySuite...)
	return nil
}

// meshKey tells meshes apart.
func (o *testOptions) meshKey(s *casefile.Suite) string {
	if o.mesh.offline {
		return fmt.Sprintf("%q %t", s.MeshConfig, s.Validator)
	}
	return fmt.Sprintf("%q %q %t", s.Manifests, s.MeshConfig, s.Validator)
}

// runOn reads the mesh of suites that have the same, and runs them on it.
func (o *testOptions) runOn(ctx context.Context, suites []casefile.Suite, report *caserun.Report) ([]caserun.Result, error) {
	mesh, first := *o.mesh, suites[0]
	if !mesh.offline && len(first.Manifests) > 0 {
		mesh.offline, mesh.filenames = true, first.Manifests
	}
	in, err := mesh.Input(ctx)
	defer mesh.progress.Done()
	if err != nil {
		return nil, err
	}
	on := caserun.Mesh{Flags: mesh.flags()}
	if first.MeshConfig != nil && mesh.meshConfig == "" {
		on.Flags = nil // no command line reads the same
		if err := mesh.setMeshConfig(&in, first.MeshConfig, first.Source.String()+" meshConfig"); err != nil {
			return nil, err
		}
	}
	if first.Validator && mesh.offline {
		for _, assumed := range caserun.Assume(&in) {
			warn(o.streams.ErrOut, assumed)
			on.Flags = nil
		}
	}
	on.Snapshot = resolve.NewSnapshot(in)
	results, covered, err := o.runner.Run(ctx, on, suites)
	if err != nil {
		return nil, err
	}
	if report.Coverage != nil {
		report.Coverage.Add(covered)
	}
	return results, nil
}

// flags are those of a command line that reads the same mesh.
func (o *meshOptions) flags() []string {
	out := []string{}
	add := func(flag string, values ...string) {
		for _, v := range values {
			if v != "" {
				out = append(out, flag, v)
			}
		}
	}
	if o.offline {
		add("-f", o.filenames...)
		add("-k", o.kustomize)
		if o.recursive {
			out = append(out, "-R")
		}
	}
	add("--context", *o.config.Context)
	add("--mesh-config", o.meshConfig)
	add("--istio-version", o.istioVersion)
	add("--revision", o.revision)
	return out
}

func (o *testOptions) render(report *caserun.Report) ([]byte, error) {
	switch o.output {
	case "json", "yaml":
		return encode(report.Document(), o.output)
	case "junit":
		return report.JUnit()
	case "tap":
		return report.TAP()
	}
	return report.Text(o.verbosity), nil
}

// errCaseFailed is the report's: it is printed and says it all.
var errCaseFailed = errors.New("a case failed")

// coverageError is a coverage that is too low.
type coverageError struct{ error }

// judge tells which exit code the report has, and on stderr what the format has no place for.
func (o *testOptions) judge(report *caserun.Report) error {
	if len(report.Results) == 0 {
		warn(o.streams.ErrOut, "no case ran")
	}
	if report.Coverage != nil && (o.output == "junit" || o.output == "tap" || o.output == "text" && o.verbosity == caserun.Quiet) {
		_, _ = io.WriteString(o.streams.ErrOut, render.EscapeLines(caserun.CoverageText(report.Coverage)))
	}
	if report.Count(caserun.Failed) > 0 {
		return errCaseFailed
	}
	if percent := 0.; report.Coverage != nil {
		if percent = report.Coverage.Percent(); percent < o.failUnder {
			return coverageError{fmt.Errorf("the cases decide %.1f%% of the rules, which is less than --fail-under %g", percent, o.failUnder)}
		}
	}
	return nil
}

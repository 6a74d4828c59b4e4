package cmd

import (
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/mesh-trace/kubectl-mesh-trace/cmd/casefile"
	"github.com/mesh-trace/kubectl-mesh-trace/cmd/caserun"
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
	deps.complete(c, "output", oneOf(testFormats...))
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
	case stdin(f.cases) && stdin(f.mesh.overlays):
		return usagef("--filename (-f) and --overlay can not both be -; stdin can be read once")
	case f.written("manifests") && slices.Contains(f.mesh.filenames, ""):
		return usagef("--manifests is empty: expected a file, a directory or -")
	}
	return nil
}

package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/mesh-trace/kubectl-mesh-trace/cmd/casefile"
	"github.com/mesh-trace/kubectl-mesh-trace/cmd/caserun"
	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/coverage"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/render"
)

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
	o.mesh.overlay = mesh.overlay // it is read once: stdin can not be read again
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
	add("--overlay", o.overlays...)
	add("--remote", o.remotes...)
	add("--context", *o.config.Context)
	for _, remote := range o.remoteContexts {
		add(remote.flag, remote.text)
	}
	add("--mesh-config", o.meshConfig)
	add("--mesh-networks", o.meshNetworks)
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

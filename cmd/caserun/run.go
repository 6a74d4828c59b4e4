package caserun

import (
	"context"
	"errors"
	"regexp"
	"runtime"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/mesh-trace/kubectl-mesh-trace/cmd/casefile"
	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/coverage"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/render"
)

// Verdict is what came of a case. It is a closed list.
type Verdict string

// The verdicts.
const (
	Passed Verdict = "passed"
	Failed Verdict = "failed"
	// Skipped is a case that expects nothing; its request was not traced.
	Skipped Verdict = "skipped"
)

// Result is what came of one case.
type Result struct {
	// Suite is the name of the case's suite, and Name that of the case in it.
	Suite, Name string
	casefile.Source
	Verdict Verdict
	// Error says why there is no trace to compare; empty where there is one.
	Error string
	// Mismatches are how the trace differs from what was expected.
	Mismatches []casefile.Mismatch
	// Decided is what decided the outcome that differs; empty where there is no trace.
	Decided []Decision
	// Command traces the request again; empty where no command line reads the same mesh.
	Command string
}

// Runner runs cases.
type Runner struct {
	// Walk traces a request; trace.WalkView but in tests.
	Walk func(*resolve.Snapshot, trace.Request, trace.Detail) (*trace.Trace, error)
	// Namespace is that of requests that name none.
	Namespace string
	// Only are the cases that run, by SUITE/NAME; nil for all.
	Only *regexp.Regexp
	// Coverage collects which rules decide.
	Coverage bool
}

// Mesh is what cases are traced on.
type Mesh struct {
	Snapshot *resolve.Snapshot
	// Flags are those of a command line that reads the same; nil where none does.
	Flags []string
}

// Run runs the cases of suites that are on one mesh. covered is nil without Coverage. The error is that of a cluster
// that could not be read, or of the context.
func (r *Runner) Run(ctx context.Context, mesh Mesh, suites []casefile.Suite) (results []Result, covered []coverage.Rule, err error) {
	jobs := r.jobs(suites)
	schedule := newSchedule(jobs, r.sourceNamespace)
	results = make([]Result, len(jobs))
	var taken atomic.Int64
	sets := make([]coverage.Set, runtime.GOMAXPROCS(0))
	group, ctx := errgroup.WithContext(ctx)
	for worker := range sets {
		group.Go(func() error {
			one := single{Runner: r, mesh: mesh, covered: &sets[worker]}
			for {
				next := int(taken.Add(1)) - 1
				if next >= len(jobs) || ctx.Err() != nil {
					return ctx.Err()
				}
				i := schedule.order[next]
				results[i] = one.run(jobs[i])
				schedule.done(i, mesh.Snapshot)
			}
		})
	}
	if err := group.Wait(); err != nil {
		return nil, nil, err
	}
	// It has asked the cluster for more: what came of that counts before what was made of it.
	if err := mesh.Snapshot.Err(); err != nil {
		return nil, nil, err
	}
	if !r.Coverage {
		return results, nil, nil
	}
	for i := range sets[1:] {
		sets[0].Join(&sets[i+1])
	}
	return results, sets[0].Rules(mesh.Snapshot), nil
}

// job is a case with its suite.
type job struct {
	suite *casefile.Suite
	test  *casefile.Case
}

// jobs are the cases that run, in the order of their files.
func (r *Runner) jobs(suites []casefile.Suite) []job {
	var jobs []job
	for i := range suites {
		s := &suites[i]
		for j := range s.Cases {
			if r.Only == nil || r.Only.MatchString(s.Name+"/"+s.Cases[j].Name) {
				jobs = append(jobs, job{s, &s.Cases[j]})
			}
		}
	}
	return jobs
}

// Count is how many cases of a suite run.
func (r *Runner) Count(s *casefile.Suite) int { return len(r.jobs([]casefile.Suite{*s})) }

// single runs one case after the other.
type single struct {
	*Runner
	mesh    Mesh
	covered *coverage.Set
}

func (r *single) run(j job) Result {
	c := j.test
	result := Result{Suite: j.suite.Name, Name: c.Name, Source: c.Source, Verdict: Passed}
	if c.Expect == nil && c.Rule == nil {
		result.Verdict = Skipped
		return result
	}
	typed := c.Request
	if typed.Namespace == "" {
		typed.Namespace = r.namespaceOf(c)
	}
	request, err := trace.NewRequest(typed)
	if err == nil {
		err = r.compare(&result, c, request)
	}
	if err != nil {
		result.Error = refusal(err)
	}
	if result.Error != "" || len(result.Mismatches) > 0 {
		result.Verdict = Failed
		if r.mesh.Flags != nil {
			result.Command = disclosed(typed).Command(r.mesh.Flags...)
		}
	}
	return result
}

// refusal says why there is no trace, with the field of a case file in place of the flag of a command line.
func refusal(err error) string {
	var refused *trace.InputError
	if errors.As(err, &refused) {
		field, ok := fields[refused.Input]
		if !ok {
			field = string(refused.Input)
		}
		return "request." + field + ": " + refused.Problem
	}
	return err.Error()
}

// fields are those of a case file that are named otherwise than the flag.
var fields = map[trace.Input]string{
	trace.InputURL: "url", trace.InputHeader: "headers", trace.InputSourceIP: "sourceIP", trace.InputClientCert: "clientCert", trace.InputClaim: "claims",
}

// namespaceOf is the namespace of a request that names none. istio-config-validator knows none: there it is that of the VirtualService that has
// the host.
func (r *single) namespaceOf(c *casefile.Case) string {
	if c.Rule != nil {
		if namespace, ok := hostNamespace(r.mesh.Snapshot, c.Request.URL); ok {
			return namespace
		}
	}
	return r.Namespace
}

// compare traces the request and notes how the trace differs from what was expected, and why.
func (r *single) compare(result *Result, c *casefile.Case, request trace.Request) error {
	detail := trace.DetailNone
	if r.Coverage || c.Rule != nil || c.Expect.Reads("steps") {
		detail = trace.DetailFull
	}
	t, err := r.Walk(r.mesh.Snapshot, request, detail)
	if err != nil {
		return err
	}
	if r.Coverage {
		r.covered.Add(r.mesh.Snapshot, t)
	}
	if c.Rule != nil {
		result.Mismatches = matchRule(r.mesh.Snapshot, t, c.Rule)
	} else {
		var locate func(resolve.Ref) string // finding the lines takes longer than the trace
		if c.Expect.Reads("source") {
			locate = r.mesh.Snapshot.Locate
		}
		result.Mismatches = c.Expect.Match(render.NewDocument(t, locate))
	}
	if len(result.Mismatches) == 0 {
		return nil
	}
	if t, err = r.Walk(r.mesh.Snapshot, request, trace.DetailFails); err != nil {
		return err
	}
	result.Decided = explain(r.mesh.Snapshot, t, result.Mismatches)
	return nil
}

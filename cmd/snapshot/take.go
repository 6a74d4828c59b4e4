package snapshot

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"

	"github.com/mesh-trace/kubectl-mesh-trace/cmd/load"
	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// Options are what a snapshot is taken with.
type Options struct {
	// Version is this program's.
	Version string
	// RedactNames replaces names.
	RedactNames bool
}

// Snapshot is what was taken.
type Snapshot struct {
	Document load.SnapshotDocument
	// Objects are in the order in which they are written: by namespace, kind and name.
	Objects []tree
	// Replays is set where the traces of the snapshot are those of what it was taken from.
	Replays bool
	// Warnings are for the person who is about to send it.
	Warnings []string
}

// Take traces the requests and takes what they need.
//
//  1. The requests are traced on the input, in full, while everything that is asked for is recorded.
//  2. Each request is reduced to what its trace depends on (request.go).
//  3. The objects are chosen (choose.go) and reduced (reduce.go), with the labels that something selects by.
//  4. What was written is read again, and traced: where the traces are not the same, with all labels; then with all
//     objects that were read; where they are not the same then, the snapshot says so.
//  5. Names are replaced, where that is asked for, and the traces compared once more (rename.go).
//
// It fails where a request can not be traced, and where names can not be replaced without a change to a trace.
func Take(in resolve.Input, typed []trace.Typed, opts Options) (*Snapshot, error) {
	withoutPlaces(&in)
	recorder := record(&in)
	all := resolve.NewSnapshot(in)
	t := &taking{opts: opts, input: in, recorder: recorder}
	for _, one := range typed {
		reduced, warnings, err := reduceRequest(all, one)
		if err != nil {
			return nil, err
		}
		t.typed = append(t.typed, reduced)
		t.warnings = append(t.warnings, warnings...)
	}
	recorder.freeze()
	var err error
	if t.requests, err = parse(t.typed); err != nil {
		return nil, err
	}
	t.want = t.traces(all)
	if err := all.Err(); err != nil {
		return nil, err
	}
	gaps := recorder.runningGaps()
	t.input.Deferred = gaps.Over(nil)
	t.input.Remotes = withoutDeferred(in.Remotes)
	t.input.Gaps = append(slices.Clone(t.input.Gaps), recorder.remoteGaps...)
	candidates := slices.Concat(in.Resources, recorder.running)
	chosen := t.choose(candidates)
	for _, try := range []struct {
		resources []resolve.Sourced
		labels    bool
	}{{chosen, false}, {chosen, true}, {candidates, true}} {
		s, err := t.write(try.resources, try.labels)
		if err != nil {
			return nil, err
		}
		replayed, err := s.traces(t.requests)
		if err != nil {
			return nil, err
		}
		s.Replays = slices.EqualFunc(replayed, t.want, bytes.Equal)
		if s.Replays || len(try.resources) == len(candidates) && try.labels {
			return t.finish(s)
		}
	}
	return nil, errors.New("no snapshot was tried") // the last of the list returns
}

// withoutDeferred are the remote clusters alone: what runs there is among the objects.
func withoutDeferred(remotes []resolve.Remote) []resolve.Remote {
	out := slices.Clone(remotes)
	for i := range out {
		out[i].Deferred = nil
	}
	return out
}

// taking is one call of Take.
type taking struct {
	opts     Options
	input    resolve.Input
	recorder *recorder
	// typed are the requests as they are written, requests what they say.
	typed    []trace.Typed
	requests []trace.Request
	want     [][]byte
	warnings []string
}

func parse(typed []trace.Typed) ([]trace.Request, error) {
	requests := make([]trace.Request, len(typed))
	for i, one := range typed {
		var err error
		if requests[i], err = trace.NewRequest(one); err != nil {
			return nil, err
		}
	}
	return requests, nil
}

func (t *taking) traces(s *resolve.Snapshot) [][]byte {
	return tracesOf(s, t.requests)
}

// with is the input with other objects.
func (t *taking) with(resources []resolve.Sourced) *resolve.Snapshot {
	in := t.input
	in.Resources = resources
	return resolve.NewSnapshot(in)
}

// same reports whether these objects give the traces.
func (t *taking) same(resources []resolve.Sourced) bool {
	s := t.with(resources)
	for i, q := range t.requests {
		if !bytes.Equal(traceOf(s, q), t.want[i]) {
			return false
		}
	}
	return true
}

// traces are those of the snapshot, written and read again.
func (s *Snapshot) traces(requests []trace.Request) ([][]byte, error) {
	text, err := s.YAML()
	if err != nil {
		return nil, err
	}
	in, err := load.Manifests(load.ManifestOptions{Paths: []string{"-"}, Stdin: bytes.NewReader(text), DefaultNamespace: "default"})
	if err != nil {
		return nil, fmt.Errorf("the snapshot can not be read again: %w", err)
	}
	return tracesOf(resolve.NewSnapshot(in), requests), nil
}

// write makes a snapshot of the objects; without labels, only those stay that something selects by.
func (t *taking) write(resources []resolve.Sourced, labels bool) (*Snapshot, error) {
	s := &Snapshot{Document: t.document(resources), Warnings: t.warnings}
	for _, r := range resources {
		o, err := reduced(r)
		if err != nil {
			return nil, err
		}
		s.Objects = append(s.Objects, o)
	}
	if !labels {
		keys := selecting(s.Objects)
		for _, o := range s.Objects {
			keepLabels(o, keys)
		}
	}
	sortObjects(s.Objects)
	return s, nil
}

func (t *taking) finish(s *Snapshot) (*Snapshot, error) {
	if !s.Replays {
		const differs = "the traces of this snapshot are not all those of what it was taken from; it has everything that was read"
		s.Document.Remarks = append(s.Document.Remarks, differs)
		s.Warnings = append(s.Warnings, differs)
	}
	if t.opts.RedactNames {
		return t.rename(s)
	}
	return s, nil
}

// withoutPlaces takes out of what the loader said where files lie on this machine, and what a server said when it
// refused, which names users and hosts. Neither is part of what a trace decides.
func withoutPlaces(in *resolve.Input) {
	if in.MeshConfigRef.Kind == "MeshConfig" {
		in.MeshConfigRef.Name = path.Base(in.MeshConfigRef.Name)
	}
	if in.MeshNetworksRef.Kind == "MeshNetworks" {
		in.MeshNetworksRef.Name = path.Base(in.MeshNetworksRef.Name)
	}
	in.Gaps = withoutDetails(in.Gaps)
	in.Notes = slices.Clone(in.Notes)
	for i := range in.Notes {
		n := &in.Notes[i]
		if n.Ref.Kind == "MeshConfig" || n.Ref.Kind == "MeshNetworks" {
			n.Ref.Name = path.Base(n.Ref.Name)
		}
		n.Message = filePath.ReplaceAllStringFunc(n.Message, path.Base)
	}
}

// filePath is the path of a manifest in a note.
var filePath = regexp.MustCompile(`[^\s:,]*/[^\s:,]+\.(?:ya?ml|json)`)

// withoutDetail is a gap of which the error is left out.
func withoutDetail(g *resolve.Gap) *resolve.Gap {
	if g == nil {
		return nil
	}
	out := *g
	out.Detail = "the error is not in the snapshot"
	return &out
}

func withoutDetails(gaps []resolve.Gap) []resolve.Gap {
	out := slices.Clone(gaps)
	for i := range out {
		out[i] = *withoutDetail(&out[i])
	}
	return out
}

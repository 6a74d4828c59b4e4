package cmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/diff"

	"github.com/mesh-trace/kubectl-mesh-trace/cmd/load"
	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/render"
)

// Watcher is a mesh that is read again when it has changed; [load.Watch] is one.
type Watcher interface {
	Read(context.Context) (resolve.Input, error)
	Changed(context.Context) ([]load.Change, error)
}

// watchRetry is how long a cluster that could not be read is left alone.
const watchRetry = 5 * time.Second

// Watch prints the trace, and again what has changed of it whenever that is something, until the context ends. What goes
// wrong after the first trace is told on stderr, and does not end it.
func (o *traceOptions) Watch(ctx context.Context) error {
	source, err := o.mesh.Watch(ctx)
	if err != nil {
		return err
	}
	before, err := o.readAndTrace(ctx, source)
	if err != nil {
		return err
	}
	if _, err := o.streams.Out.Write(before); err != nil {
		return err
	}
	for {
		changes, err := source.Changed(ctx)
		if err != nil {
			return stopped(ctx, err)
		}
		after, err := o.readAndTrace(ctx, source)
		for err != nil && ctx.Err() == nil {
			exit(err, o.streams.ErrOut)
			changes, err = nextTry(ctx, source)
			if err != nil {
				return stopped(ctx, err)
			}
			after, err = o.readAndTrace(ctx, source)
		}
		if ctx.Err() != nil {
			return nil
		}
		if bytes.Equal(before, after) {
			continue
		}
		if _, err := o.streams.Out.Write(o.changed(changes, before, after)); err != nil {
			return err
		}
		before = after
	}
}

// stopped is nil where the user has ended the watch, which is how it ends.
func stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// nextTry waits for a change, and not for ever: what has failed may have been the way to the cluster.
func nextTry(ctx context.Context, source Watcher) ([]load.Change, error) {
	limited, cancel := context.WithTimeout(ctx, watchRetry)
	defer cancel()
	changes, err := source.Changed(limited)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return nil, nil
	}
	return changes, err
}

// readAndTrace is the output for the mesh as it is now.
func (o *traceOptions) readAndTrace(ctx context.Context, source Watcher) ([]byte, error) {
	in, err := source.Read(ctx)
	if err != nil {
		return nil, err
	}
	snapshot, err := o.mesh.finish(in)
	if err != nil {
		return nil, err
	}
	_, output, err := o.trace(ctx, snapshot)
	return output, err
}

// changed is what is printed of a trace that has changed: for a program the whole of it, for a person what was done, the
// verdict as it is now, and the lines that differ.
func (o *traceOptions) changed(changes []load.Change, before, after []byte) []byte {
	if o.view.printer != nil {
		return after
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "\nchanged: %s\n", render.EscapeLines(changesText(changes)))
	verdict, _, _ := bytes.Cut(after, []byte("\n"))
	fmt.Fprintf(&b, "%s\n", verdict)
	lines := strings.SplitAfter(string(diff.Diff("before", before, "after", after)), "\n")
	for _, line := range lines[min(len(lines), diffHeader):] {
		b.WriteString(line)
	}
	return b.Bytes()
}

// diffHeader are the lines in which a diff names what it compares.
const diffHeader = 3

// namedChanges is how many objects are named.
const namedChanges = 5

func changesText(changes []load.Change) string {
	if len(changes) == 0 {
		return "what could not be read can be read"
	}
	var names []string
	for _, c := range changes[:min(len(changes), namedChanges)] {
		name := c.Ref.String()
		if c.Ref.Name == "" {
			name = "kind " + c.Ref.Kind
		}
		if c.What != "" {
			name += " (" + c.What + ")"
		}
		names = append(names, name)
	}
	if more := len(changes) - len(names); more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(names, ", ")
}

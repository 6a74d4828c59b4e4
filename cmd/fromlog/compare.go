package fromlog

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/mesh-trace/kubectl-mesh-trace/cmd/accesslog"
	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/render"
)

// Options say what the lines do not.
type Options struct {
	// Proxy is the workload whose proxy wrote them, and From who sent the requests, as --from takes either; both may be empty.
	Proxy, From string
	// Namespace is that of pods and hosts without one.
	Namespace string
	// Headers and Claims are sent with every request, besides what a line has.
	Headers, Claims []string
	// Flags make a command read the mesh again.
	Flags []string
}

// Log is one file, or stdin.
type Log struct {
	Name string
	io.Reader
}

// Group are lines that agree, or do not, in the same way.
type Group struct {
	Verdict Verdict
	// By is what decides in the trace, with its place.
	By       resolve.Ref
	Location string
	// Happened is what the first line says, Traced the answer of its trace, and Explanations what could lie between.
	Happened     string
	Traced       []string
	Explanations []string
	// Command traces the first line's request; empty where there is none.
	Command string
	// Lines are the first lines, as FILE:LINE, and First the text of the first one; Count is how many there are.
	Lines []string
	First string
	Count int

	// headline is Traced again, in colour or not.
	headline func(colour bool) []string
}

// keptLines is how many lines of a group are named.
const keptLines = 20

// Result is what came of all lines.
type Result struct {
	Counts map[Verdict]int
	// Groups are by verdict, the largest first.
	Groups []*Group
}

// Total is how many lines there were.
func (r *Result) Total() int {
	n := 0
	for _, count := range r.Counts {
		n += count
	}
	return n
}

// longestLine bounds a line; one that is longer is not read, and what follows is.
const longestLine = 1 << 20

// Compare reads the lines and compares them with the traces of their requests.
func Compare(ctx context.Context, s *resolve.Snapshot, reader *accesslog.Reader, logs []Log, opts Options) (*Result, error) {
	c := &comparer{ctx: ctx, snapshot: s, reader: reader, options: opts, traces: map[string]traced{}, groups: map[string]*Group{}, result: &Result{Counts: map[Verdict]int{}}}
	if err := c.findProxy(); err != nil {
		return nil, err
	}
	for _, log := range logs {
		if err := c.read(log); err != nil {
			return nil, err
		}
	}
	if err := s.Err(); err != nil {
		return nil, err
	}
	order := Verdicts()
	slices.SortStableFunc(c.result.Groups, func(a, b *Group) int {
		return cmp.Or(cmp.Compare(slices.Index(order, a.Verdict), slices.Index(order, b.Verdict)), cmp.Compare(b.Count, a.Count))
	})
	return c.result, nil
}

type comparer struct {
	ctx      context.Context
	snapshot *resolve.Snapshot
	reader   *accesslog.Reader
	options  Options
	// proxy is the writer that the user names; nil if none.
	proxy  *resolve.Workload
	traces map[string]traced
	groups map[string]*Group
	result *Result
}

// traced is the trace of a request; lines repeat.
type traced struct {
	trace *trace.Trace
	err   error
}

func (c *comparer) findProxy() error {
	if c.options.Proxy == "" {
		return nil
	}
	spec, err := trace.ParseSource(c.options.Proxy)
	if err != nil || spec.External {
		return fmt.Errorf("--proxy %q: expected [NAMESPACE/]KIND/NAME, or a pod's name", c.options.Proxy)
	}
	found, err := c.snapshot.FindWorkload(spec.Kind, cmp.Or(spec.Namespace, c.options.Namespace), spec.Name)
	if err != nil {
		return fmt.Errorf("--proxy: %w", err)
	}
	c.proxy = found[0]
	return nil
}

func (c *comparer) read(log Log) error {
	in := bufio.NewReaderSize(log.Reader, 1<<16)
	for number := 1; ; number++ {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		line, whole, err := readLine(in)
		if line != "" || err == nil {
			c.line(fmt.Sprintf("%s:%d", log.Name, number), line, whole)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", log.Name, err)
		}
	}
}

// readLine reads a line to its end, and keeps the beginning of one that is too long.
func readLine(in *bufio.Reader) (line string, whole bool, err error) {
	var b strings.Builder
	whole = true
	for {
		part, more, err := in.ReadLine()
		if b.Len()+len(part) > longestLine {
			whole = false
		} else {
			b.Write(part)
		}
		if err != nil || !more {
			return b.String(), whole, err
		}
	}
}

// line compares one line.
func (c *comparer) line(place, text string, whole bool) {
	if strings.TrimSpace(text) == "" {
		return
	}
	e, ok := c.reader.Read(text)
	if !ok || !whole {
		c.add(Group{Verdict: Unread, First: text}, place, "")
		return
	}
	w := c.writerOf(&e)
	q := c.completed(c.ask(&e, w), &e)
	if q.problem != "" {
		c.add(Group{Verdict: NotCompared, First: text, Happened: happened(&e), Explanations: []string{q.problem}}, place, q.problem)
		return
	}
	t, err := c.trace(q.Typed)
	if err != nil {
		c.add(Group{Verdict: NotCompared, First: text, Happened: happened(&e), Explanations: []string{err.Error()}, Command: q.Typed.Command(c.options.Flags...)}, place, err.Error())
		return
	}
	v := c.judge(&e, w, t)
	headline := func(colour bool) []string {
		return render.Headline(t, render.Options{Locate: c.snapshot.Locate, Colour: colour})
	}
	g := Group{
		Verdict: v, First: text, Happened: happened(&e), By: t.Outcomes[0].By, Traced: headline(false), headline: headline,
		Explanations: c.explain(&e, w, t, v), Command: q.Typed.Command(c.options.Flags...),
	}
	c.add(g, place, g.By.String()+"|"+strings.Join(g.Traced, "|")+"|"+g.Happened+"|"+strings.Join(g.Explanations, "|"))
}

// completed has what the user adds to each request.
func (c *comparer) completed(q asked, e *accesslog.Entry) asked {
	if q.complete {
		return q
	}
	q.complete, q.Namespace = true, c.options.Namespace
	if !e.TCP() && len(q.Headers)+len(c.options.Headers)+len(c.options.Claims) > 0 {
		q.Headers = slices.Concat(q.Headers, c.options.Headers)
		q.Claims = c.options.Claims
	}
	return q
}

// keptTraces bounds the memory of a log in which every path is another one.
const keptTraces = 4096

func (c *comparer) trace(q trace.Typed) (*trace.Trace, error) {
	key := fmt.Sprintf("%q", q)
	known, ok := c.traces[key]
	if !ok {
		request, err := trace.NewRequest(q)
		if err == nil {
			request.From.DefaultNamespace = q.Namespace
			known.trace, err = trace.WalkView(c.snapshot, request, trace.DetailFails)
		}
		known.err = err
		if len(c.traces) == keptTraces {
			clear(c.traces)
		}
		c.traces[key] = known
	}
	return known.trace, known.err
}

// add puts a line into its group.
func (c *comparer) add(g Group, place, key string) {
	c.result.Counts[g.Verdict]++
	key = string(g.Verdict) + "|" + key
	known, ok := c.groups[key]
	if !ok {
		if !g.By.IsZero() {
			g.Location = c.snapshot.Locate(g.By)
		}
		known = &g
		c.groups[key] = known
		c.result.Groups = append(c.result.Groups, known)
	}
	known.Count++
	if len(known.Lines) < keptLines {
		known.Lines = append(known.Lines, place)
	}
}

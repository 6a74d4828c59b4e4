package cmd

import (
	"bytes"
	"io"
	"os"

	"golang.org/x/term"
	"k8s.io/cli-runtime/pkg/printers"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/render"
)

// viewOptions are how a trace is shown.
type viewOptions struct {
	detail trace.Detail
	wide   bool
	// picture is one of the formats that draw; empty for text and documents.
	picture string
	// command is the command line, for a picture that shows it.
	command string
	colour  bool
	// width is that of the terminal; 0 where the output is none, which is never wrapped.
	width int
	// printer prints the document; nil for text.
	printer printers.ResourcePrinter
	// yaml is set where that writes YAML, which leaves tabs, bidirectional overrides and the like as they are.
	yaml bool
	deps Deps
}

// Render is a trace of that detail as the flags ask for it.
func (o *viewOptions) Render(t *trace.Trace, snapshot *resolve.Snapshot) ([]byte, error) {
	locate := snapshot.Locate
	if o.picture != "" {
		return o.draw(t, snapshot)
	}
	if o.printer == nil {
		return o.deps.Text(t, render.Options{Colour: o.colour, Width: o.width, Wide: o.wide, Locate: locate}), nil
	}
	var b bytes.Buffer
	if err := o.printer.PrintObj(o.deps.Document(t, locate), &b); err != nil {
		return nil, err
	}
	if o.yaml {
		return []byte(render.EscapeLines(b.String())), nil
	}
	return b.Bytes(), nil
}

// facts are of which outcomes facts are shown: of none in a diagram, and in text of those that they explain.
func (o *viewOptions) facts() trace.FactsOf {
	switch {
	case o.picture == formatMermaid, o.picture == formatDot:
		return trace.FactsOfNone
	case o.wide, o.printer != nil, o.picture != "":
		return trace.FactsOfAll
	}
	return trace.FactsOfUnavailable
}

// draw is the trace as a picture.
func (o *viewOptions) draw(t *trace.Trace, snapshot *resolve.Snapshot) ([]byte, error) {
	opts := render.PictureOptions{Detail: o.detail, Locate: snapshot.Locate, Excerpt: snapshot.Excerpt, Command: o.command}
	switch o.picture {
	case formatMermaid:
		return o.deps.Mermaid(t, opts), nil
	case formatDot:
		return o.deps.Dot(t, opts), nil
	}
	return o.deps.HTML(t, opts)
}

// terminalWidth is the number of columns of the terminal, or 0.
func terminalWidth(w io.Writer) int {
	file, ok := w.(*os.File)
	if !ok {
		return 0
	}
	width, _, err := term.GetSize(int(file.Fd()))
	if err != nil {
		return 0
	}
	return width
}

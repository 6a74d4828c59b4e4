package cmd

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/cli-runtime/pkg/printers"

	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// The values of --color.
const (
	colourAuto   = "auto"
	colourAlways = "always"
	colourNever  = "never"
)

// colourFlag is --color.
type colourFlag string

func (f *colourFlag) addFlag(c *cobra.Command) {
	c.Flags().StringVar((*string)(f), "color", colourAuto, "Colour in text: auto (on a terminal, unless NO_COLOR is set), always or never.")
}

// wanted reports whether text is to have colours.
func (f colourFlag) wanted(out io.Writer) (bool, error) {
	if !slices.Contains(colours, string(f)) {
		return false, usagef("--color %q: expected one of %s", string(f), strings.Join(colours, ", "))
	}
	return f == colourAlways || f == colourAuto && printers.AllowsColorOutput(out), nil
}

// viewFlags are how a trace is shown.
type viewFlags struct {
	print   *genericclioptions.PrintFlags
	explain string
	color   colourFlag
}

func newViewFlags() *viewFlags {
	return &viewFlags{print: genericclioptions.NewPrintFlags(""), explain: string(trace.DetailFails)}
}

// formats lists the values of -o: ours for a person, then cli-runtime's.
func (f *viewFlags) formats() []string {
	return slices.Concat([]string{"text", "wide"}, pictures, f.print.AllowedFormats())
}

// pictures are the values of -o that draw the trace.
var pictures = []string{formatHTML, formatMermaid, formatDot}

const (
	formatMermaid = "mermaid"
	formatDot     = "dot"
	formatHTML    = "html"
)

// details and colours are the closed lists of --explain and --color.
var (
	details = []string{string(trace.DetailNone), string(trace.DetailFails), string(trace.DetailFull)}
	colours = []string{colourAuto, colourAlways, colourNever}
)

// AddFlags binds the family to a command.
func (f *viewFlags) AddFlags(c *cobra.Command) {
	f.print.AddFlags(c)
	fs := c.Flags()
	fs.Lookup("output").Usage = fmt.Sprintf("Output format (default text). One of: (%s).", strings.Join(f.formats(), ", "))
	// A trace has no managed fields; the flag comes with cli-runtime's family.
	fs.Lookup("show-managed-fields").Hidden = true
	fs.StringVar(&f.explain, "explain", f.explain, "How much of what was considered is shown: none (the way of the request), fails (and why the nearest others failed) or full (every candidate).")
	f.color.addFlag(c)
}

// ToOptions parses the family.
func (f *viewFlags) ToOptions(streams genericiooptions.IOStreams, deps Deps) (*viewOptions, error) {
	if !slices.Contains(details, f.explain) {
		return nil, usagef("--explain %q: expected one of %s", f.explain, strings.Join(details, ", "))
	}
	colour, err := f.color.wanted(streams.Out)
	if err != nil {
		return nil, err
	}
	o := &viewOptions{
		detail: trace.Detail(f.explain),
		colour: colour,
		width:  terminalWidth(streams.Out),
		deps:   deps,
	}
	format, template := *f.print.OutputFormat, *f.print.TemplatePrinterFlags.TemplateArgument
	switch {
	case format == "text" || format == "" && template == "":
		return o, nil
	case format == "wide":
		o.wide = true
		return o, nil
	case slices.Contains(pictures, format):
		o.picture = format
		return o, nil
	}
	o.yaml = format == "yaml" || format == "kyaml"
	if o.printer, err = f.print.ToPrinter(); err != nil {
		if genericclioptions.IsNoCompatiblePrinterError(err) {
			err = fmt.Errorf("expected one of %s", strings.Join(f.formats(), ", "))
		}
		return nil, usagef("--output %q: %w", format, err)
	}
	return o, nil
}

package render

import "charm.land/lipgloss/v2"

// meaning is what a piece of text says by its colour. Nothing is said by colour alone.
type meaning int

// The five meanings, and plain text.
const (
	asPlain meaning = iota
	// asOK is a good end, or a choice that was made.
	asOK
	// asFail is a bad end.
	asFail
	// asWarn is something not certain.
	asWarn
	// asName is a resource, a proxy or a workload.
	asName
	// asDim is what one may skip at first.
	asDim
)

// palette is how each meaning looks. The colours are the terminal's own, so that
// they fit its background.
type palette map[meaning]lipgloss.Style

// newPalette returns an empty palette where no colour is wanted.
func newPalette(colour bool) palette {
	if !colour {
		return nil
	}
	return palette{
		asOK:   lipgloss.NewStyle().Foreground(lipgloss.Green),
		asFail: lipgloss.NewStyle().Foreground(lipgloss.Red).Bold(true),
		asWarn: lipgloss.NewStyle().Foreground(lipgloss.Yellow),
		asName: lipgloss.NewStyle().Foreground(lipgloss.Cyan),
		asDim:  lipgloss.NewStyle().Faint(true),
	}
}

func (p palette) paint(m meaning, s string) string {
	style, found := p[m]
	if !found {
		return s
	}
	return style.Render(s)
}

// Colours paints the words of a report as those of a trace are. Text from outside has to be escaped before; the zero value
// leaves all as it is.
type Colours struct{ palette palette }

// NewColours paints where colour is wanted.
func NewColours(colour bool) Colours { return Colours{newPalette(colour)} }

// OK is for a good end.
func (c Colours) OK(text string) string { return c.palette.paint(asOK, text) }

// Fail is for a bad end.
func (c Colours) Fail(text string) string { return c.palette.paint(asFail, text) }

// Warn is for what is not certain, or only another end.
func (c Colours) Warn(text string) string { return c.palette.paint(asWarn, text) }

// Name is for a resource.
func (c Colours) Name(text string) string { return c.palette.paint(asName, text) }

// Dim is for what one may skip at first.
func (c Colours) Dim(text string) string { return c.palette.paint(asDim, text) }

package render

import "html/template"

// What page/page.tmpl is filled with. Every text is escaped as for a terminal; html/template escapes it for HTML.

type pageData struct {
	Policy                     string
	Style                      template.CSS
	Title, Sent, From, Headers string
	// Verdict, Sign and As are those of all outcomes together, and By what decided them all, if it is one thing.
	Verdict, Sign, As, By string
	// See and Why are the first of what was overlooked, as the text's first lines name it.
	See, Why string
	Outcomes []outcomeData
	Excerpt  *excerptData
	Way      *nodeData
	// Across is set where the diagram goes from left to right on a wide screen, and not down.
	Across       bool
	Hops         []hopData
	UnknownTitle string
	Unknown      []string
	Command      string
	Foot         []string
}

// outcomeData is one outcome; As is ok, warn or fail.
type outcomeData struct {
	Share, Verdict, As                    string
	To, By, Reason, Arrives, Logged, Hint string
	Otherwise                             []string
	Excerpt                               *excerptData
}

// nodeData is a box of the diagram; Target is the id of its section, if it has one.
type nodeData struct {
	Kind, Name, Facts, As, Target string
	Ends                          []endData
	Links                         []linkData
}

type endData struct{ Text, As string }

// linkData is an arrow of the diagram: its share, where the way forks, and what stands over and under it.
type linkData struct {
	Share, Over, Under string
	Broken             bool
	To                 *nodeData
}

type hopData struct {
	ID, Name string
	Names    []nameData
	Steps    []stepData
	Branches []branchData
	Silent   bool
}

type branchData struct {
	Share string
	Names []nameData
	Steps []stepData
}

type nameData struct{ Label, Value string }

// stepData is a step; or, with Rejected, a number of them that were considered; or, with Omitted, some that are not shown.
type stepData struct {
	Sign, As, Stage, Verdict, Resource, Reason, Place, Expected, Actual string
	Rule, Says, Source                                                  string
	Decides, Open                                                       bool
	Excerpt                                                             *excerptData

	Rejected, Omitted string
	Steps             []stepData
}

// excerptData are lines of a manifest.
type excerptData struct {
	Caption string
	Lines   []excerptLine
}

type excerptLine struct {
	Number int
	Text   string
	Cited  bool
}

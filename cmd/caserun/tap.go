package caserun

import (
	"encoding/json"
	"fmt"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/mesh-trace/kubectl-mesh-trace/trace/render"
)

// TAP is the report in the Test Anything Protocol, version 14 (testanything.org/tap-version-14-specification.html). What is known of a failure is its YAML
// diagnostic, with the fields of the document.
func (r *Report) TAP() ([]byte, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "TAP version 14\n1..%d\n", len(r.Results))
	for i := range r.Results {
		one := &r.Results[i]
		word, directive := "ok", ""
		switch one.Verdict {
		case Failed:
			word = "not ok"
		case Skipped:
			directive = " # SKIP it expects nothing"
		case Passed:
		}
		fmt.Fprintf(&b, "%s %d - %s%s\n", word, i+1, description(one.Suite+"/"+one.Name), directive)
		if one.Verdict != Failed {
			continue
		}
		data, err := diagnostic(one)
		if err != nil {
			return nil, err
		}
		b.WriteString("  ---\n")
		for line := range strings.Lines(string(data)) {
			b.WriteString("  " + line)
		}
		b.WriteString("  ...\n")
	}
	if r.Coverage != nil {
		fmt.Fprintf(&b, "# coverage: %.1f%% of rules (%d of %d)\n", r.Coverage.Percent(), r.Coverage.Covered(), len(r.Coverage.Rules))
	}
	return []byte(render.EscapeLines(b.String())), nil
}

// diagnostic is the document of a case as YAML, which takes no control characters but escaped ones.
func diagnostic(r *Result) ([]byte, error) {
	data, err := json.Marshal(r.document())
	if err != nil {
		return nil, err
	}
	return yaml.JSONToYAML(render.EscapeJSON(data))
}

// description escapes what would begin a directive.
func description(text string) string {
	return strings.NewReplacer(`\`, `\\`, "#", `\#`).Replace(oneLine(text))
}

package accesslog

import (
	"fmt"
	"regexp"
	"strings"
)

// istioFormats are the text formats that Istio has its proxies write: from 1.9 on (where UPSTREAM_CLUSTER later became
// UPSTREAM_CLUSTER_RAW), and before. The last one is Envoy's own.
//
// Source: pilot/pkg/model/telemetry_logging.go, EnvoyTextLogFormat; Envoy, docs/root/configuration/observability/access_log/usage.rst.
var istioFormats = []string{
	request + "%RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% " + failure + counts + upstream,
	request + failure + counts + upstream,
	request + `"%DYNAMIC_METADATA(istio.mixer:status)%" ` + failure + counts + upstream,
	request + counts + `"%UPSTREAM_HOST%"`,
}

// The parts that the formats share.
const (
	request  = `[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% `
	failure  = `"%UPSTREAM_TRANSPORT_FAILURE_REASON%" `
	counts   = `%BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" `
	upstream = `"%UPSTREAM_HOST%" %UPSTREAM_CLUSTER% %UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%`
)

// Format is a format string of Envoy, ready to read lines.
type Format struct {
	line      *regexp.Regexp
	operators []operator
}

// operator is %NAME(argument)% or %NAME(argument):length%.
type operator struct{ name, argument string }

var operatorSyntax = regexp.MustCompile(`^%([A-Z][A-Z0-9_]*)(?:\(([^)]*)\))?(?::\d+)?%`)

// maxOperators bounds a format: each is a group of a regular expression.
const maxOperators = 200

// NewFormat reads a format string. What one operator writes ends where the text behind it begins: within quotes that is the
// quote, elsewhere a space.
func NewFormat(format string) (*Format, error) {
	format = strings.TrimSuffix(strings.TrimSuffix(format, "\n"), `\n`)
	f := &Format{}
	var b strings.Builder
	b.WriteString("^")
	for rest := format; rest != ""; {
		if strings.HasPrefix(rest, "%%") {
			b.WriteString("%")
			rest = rest[2:]
			continue
		}
		if found := operatorSyntax.FindStringSubmatch(rest); found != nil {
			rest = rest[len(found[0]):]
			f.operators = append(f.operators, operator{found[1], found[2]})
			b.WriteString(group(found[1], rest))
			continue
		}
		if rest[0] == '%' {
			return nil, fmt.Errorf("%q: expected an operator such as %%RESPONSE_CODE%% or %%REQ(:PATH)%%", clipped(rest))
		}
		end := strings.IndexByte(rest, '%')
		if end < 0 {
			end = len(rest)
		}
		b.WriteString(regexp.QuoteMeta(rest[:end]))
		rest = rest[end:]
	}
	if len(f.operators) == 0 || len(f.operators) > maxOperators {
		return nil, fmt.Errorf("%q: expected from 1 to %d operators such as %%RESPONSE_CODE%%", clipped(format), maxOperators)
	}
	var err error
	if f.line, err = regexp.Compile(b.String() + "$"); err != nil {
		return nil, fmt.Errorf("%q: no format that can be read: %w", clipped(format), err)
	}
	return f, nil
}

// group reads an operator that text follows. Only a header may have quotes of its own.
func group(operator, behind string) string {
	switch {
	case behind == "", behind[0] == ' ':
		return `(\S*)`
	case behind[0] == '"' && operator != "REQ" && operator != "RESP":
		return `([^"]*)`
	}
	return `(.*?)`
}

func clipped(text string) string {
	const most = 60
	if len(text) > most {
		return text[:most] + "…"
	}
	return text
}

// Read reads a line; not ok where it is of another format.
func (f *Format) Read(line string) (Entry, bool) {
	found := f.line.FindStringSubmatch(line)
	if found == nil {
		return Entry{}, false
	}
	e := Entry{Writer: Envoy}
	for i, o := range f.operators {
		e.set(o.name, o.argument, found[i+1])
	}
	return e, e.believable()
}

package render

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// asked is "GET http://reviews.shop:9080/  from shop/web (Deployment)".
func (r *renderer) asked() line { return r.sent().then("  ", r.from()) }

// sent is "GET http://reviews.shop:9080/".
func (r *renderer) sent() line {
	q := r.trace.Request
	var l line
	if q.Scheme.IsHTTP() {
		l = l.text(asPlain, q.Method)
	}
	l = l.then(" ", line{}.text(asPlain, url(q)))
	if host := q.Headers["host"]; host != "" && host != q.Host {
		l = l.text(asPlain, " (Host: ").text(asPlain, host).text(asPlain, ")")
	}
	if q.SNI != "" && q.SNI != q.Host {
		l = l.text(asPlain, " (SNI ").text(asPlain, q.SNI).text(asPlain, ")")
	}
	return l
}

func (r *renderer) from() line {
	s := r.trace.Source
	switch {
	case s.Kind == "External":
		return line{}.text(asPlain, "from outside the cluster")
	case s.Name == "" && s.Namespace == "":
		return nil
	case s.Name == "":
		return line{}.text(asPlain, "from any workload in ").text(asName, resolve.Ref{Cluster: s.Cluster, Name: s.Namespace}.QualifiedName())
	}
	facts := line{}.text(asPlain, s.Kind)
	switch s.Dataplane {
	case resolve.DataplaneNone:
		facts = facts.then(", ", line{}.text(asPlain, "no proxy"))
	case resolve.DataplaneAmbient:
		facts = facts.then(", ", line{}.text(asPlain, "ambient"))
	case resolve.DataplaneSidecar, resolve.DataplaneGateway, resolve.DataplaneWaypoint:
	}
	l := line{}.text(asPlain, "from ").text(asName, workloadName(resolve.Ref{Cluster: s.Cluster, Namespace: s.Namespace, Name: s.Name}))
	if len(facts) > 0 {
		l = l.text(asPlain, " (").add(facts).text(asPlain, ")")
	}
	return l
}

// headersSent is a line with the headers that were asked with.
func (r *renderer) headersSent() {
	if l := r.headers(); len(l) > 0 {
		r.put(line{}.text(asPlain, "with ").add(l), 2)
	}
}

// headers are those that were asked with, and that a token was.
func (r *renderer) headers() line {
	var l line
	for _, k := range slices.Sorted(maps.Keys(r.trace.Request.Headers)) {
		if k != "host" {
			l = l.then(", ", line{}.text(asPlain, k).text(asPlain, ": ").text(asPlain, Disclose(k, r.trace.Request.Headers[k])))
		}
	}
	if r.trace.Request.Token != nil {
		l = l.then(", ", line{}.text(asPlain, "an end-user token"))
	}
	return l
}

// Disclose is a header's value, or dots for one that is a secret: a trace is made to be pasted.
func Disclose(header, value string) string {
	switch strings.ToLower(header) {
	case "authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key":
		return "…"
	}
	if strings.Contains(value, "eyJ") { // a token, wherever a RequestAuthentication reads it
		return "…"
	}
	return value
}

// url is what was asked, without the port where it is the scheme's own.
func url(q trace.Request) string {
	host := hostPort(q.Host, q.Port)
	if q.Port == defaultPort(q.Scheme) {
		host = hostPort(q.Host, 0)
	}
	if q.Scheme != "" {
		host = string(q.Scheme) + "://" + host
	}
	return host + pathQuery(q)
}

func pathQuery(q trace.Request) string {
	if q.Query != "" {
		return q.Path + "?" + q.Query
	}
	return q.Path
}

func defaultPort(s trace.Scheme) int {
	switch s {
	case trace.HTTP, trace.GRPC:
		return 80
	case trace.HTTPS, trace.GRPCS, trace.TLS:
		return 443
	case trace.TCP, trace.UDP:
	}
	return 0
}

// hostPort writes an IPv6 address in brackets, as a URL does.
func hostPort(host string, port int) string {
	if strings.Contains(host, ":") && !strings.HasPrefix(host, "[") {
		host = "[" + host + "]"
	}
	if port == 0 {
		return host
	}
	return host + ":" + strconv.Itoa(port)
}

func (r *renderer) percent(outcome int) string {
	return percentText(r.trace.Outcomes[outcome].Weight, r.percents[outcome])
}

func twoDecimals(f float64) float64 { return math.Round(f*100) / 100 }

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

func spaces(n int) string { return strings.Repeat(" ", max(n, 0)) }

func padLeft(s string, width int) string { return spaces(width-len(s)) + s }

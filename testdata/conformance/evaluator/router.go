package evaluator

import (
	"net"
	"regexp"
	"strconv"
	"strings"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
)

// router is the last HTTP filter: it answers itself or sends the request on.
func (k *walk) router(p *path, x *exchange) {
	if x.host != nil && x.redirectsToTLS() {
		// The Host header stays as it is, its port included.
		k.end(p, Outcome{Decision: Redirected, Status: 301, Details: "direct_response", Location: "https://" + x.q.Authority + x.q.Path})
		return
	}
	if x.route == nil {
		k.end(p, Outcome{Decision: NotRouted, Status: 404, Flag: "NR", Details: "route_not_found"})
		return
	}
	switch a := x.route.GetAction().(type) {
	case *route.Route_Redirect:
		status, location := redirect(a.Redirect, x.route.GetMatch(), x.q)
		k.end(p, Outcome{Decision: Redirected, Status: status, Location: location, Details: "direct_response"})
	case *route.Route_DirectResponse:
		d := Outcome{Decision: Responded, Status: int(a.DirectResponse.GetStatus()), Details: "direct_response"}
		if d.Status == 201 || d.Status/100 == 3 { // which Envoy's documentation does not say: an Envoy 1.40 does so
			d.Location = x.q.Scheme + "://" + x.q.Authority + x.q.Path
		}
		k.end(p, d)
	case *route.Route_Route:
		k.forward(p, x, a.Route)
	default:
		k.unknown(p, "route action")
	}
}

func (k *walk) forward(p *path, x *exchange, a *route.RouteAction) {
	type choice struct {
		name   string
		part   float64
		weight *route.WeightedCluster_ClusterWeight
	}
	var choices []choice
	switch c := a.GetClusterSpecifier().(type) {
	case *route.RouteAction_Cluster:
		choices = []choice{{c.Cluster, 1, nil}}
	case *route.RouteAction_WeightedClusters:
		total := 0.0
		for _, w := range c.WeightedClusters.GetClusters() {
			total += float64(w.GetWeight().GetValue())
		}
		for _, w := range c.WeightedClusters.GetClusters() {
			if w.GetWeight().GetValue() > 0 {
				choices = append(choices, choice{w.GetName(), float64(w.GetWeight().GetValue()) / total, w})
			}
		}
	case *route.RouteAction_ClusterHeader:
		name, _ := x.q.header(c.ClusterHeader)
		choices = []choice{{name, 1, nil}}
	default:
		k.unknown(p, "cluster specifier")
		return
	}
	for _, c := range choices {
		branch := p.fork(c.part)
		branch.retry = a.GetRetryPolicy()
		if branch.retry == nil {
			branch.retry = x.host.GetRetryPolicy()
		}
		q := branch.bytes.HTTP
		if c.weight != nil {
			mutate(q, c.weight.GetRequestHeadersToAdd(), c.weight.GetRequestHeadersToRemove())
			if h := c.weight.GetHostRewriteLiteral(); h != "" {
				q.Authority = h
			}
		}
		mutate(q, x.route.GetRequestHeadersToAdd(), x.route.GetRequestHeadersToRemove())
		mutate(q, x.host.GetRequestHeadersToAdd(), x.host.GetRequestHeadersToRemove())
		mutate(q, x.config.GetRequestHeadersToAdd(), x.config.GetRequestHeadersToRemove())
		rewrite(a, x.route.GetMatch(), q)
		y := *x
		y.q = q
		k.cluster(branch, x.visit, c.name, &y)
	}
}

func mutate(q *Request, add []*core.HeaderValueOption, remove []string) {
	for _, name := range remove {
		delete(q.Headers, strings.ToLower(name))
	}
	for _, o := range add {
		name, value := strings.ToLower(o.GetHeader().GetKey()), o.GetHeader().GetValue()
		value = strings.ReplaceAll(value, "%%", "%")
		switch name {
		case ":authority", "host":
			q.Authority = value
			continue
		case ":path":
			q.Path = value
			continue
		case ":method":
			q.Method = value
			continue
		}
		old, had := q.Headers[name]
		switch o.GetAppendAction() {
		case core.HeaderValueOption_APPEND_IF_EXISTS_OR_ADD:
			if had {
				value = old + "," + value
			}
			q.Headers[name] = value
		case core.HeaderValueOption_ADD_IF_ABSENT:
			if !had {
				q.Headers[name] = value
			}
		case core.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD:
			q.Headers[name] = value
		case core.HeaderValueOption_OVERWRITE_IF_EXISTS:
			if had {
				q.Headers[name] = value
			}
		}
	}
}

func rewrite(a *route.RouteAction, m *route.RouteMatch, q *Request) {
	switch h := a.GetHostRewriteSpecifier().(type) {
	case *route.RouteAction_HostRewriteLiteral:
		q.Authority = h.HostRewriteLiteral
	case *route.RouteAction_HostRewriteHeader:
		if v, ok := q.header(strings.ToLower(h.HostRewriteHeader)); ok {
			q.Authority = v
		}
	}
	path, query, hasQuery := strings.Cut(q.Path, "?")
	switch {
	case a.GetPrefixRewrite() != "":
		path = rewritePrefix(m, path, a.GetPrefixRewrite())
	case a.GetRegexRewrite() != nil:
		r, err := regexp.Compile(a.GetRegexRewrite().GetPattern().GetRegex())
		if err == nil {
			path = r.ReplaceAllString(path, submatch.ReplaceAllString(strings.ReplaceAll(a.GetRegexRewrite().GetSubstitution(), "$", "$$"), "$${$1}"))
		}
	}
	if hasQuery {
		path += "?" + query
	}
	q.Path = path
}

var submatch = regexp.MustCompile(`\\([0-9])`)

// rewritePrefix replaces the matched part: all of an exact or regex match, else the prefix.
func rewritePrefix(m *route.RouteMatch, path, with string) string {
	switch s := m.GetPathSpecifier().(type) {
	case *route.RouteMatch_Prefix:
		return with + path[min(len(s.Prefix), len(path)):]
	case *route.RouteMatch_PathSeparatedPrefix:
		return with + path[min(len(s.PathSeparatedPrefix), len(path)):]
	}
	return with
}

// redirect builds the Location as RedirectAction's documentation says.
func redirect(r *route.RedirectAction, m *route.RouteMatch, q *Request) (int, string) {
	codes := map[route.RedirectAction_RedirectResponseCode]int{
		route.RedirectAction_MOVED_PERMANENTLY: 301, route.RedirectAction_FOUND: 302, route.RedirectAction_SEE_OTHER: 303,
		route.RedirectAction_TEMPORARY_REDIRECT: 307, route.RedirectAction_PERMANENT_REDIRECT: 308,
	}
	scheme := q.Scheme
	switch {
	case r.GetHttpsRedirect():
		scheme = "https"
	case r.GetSchemeRedirect() != "":
		scheme = r.GetSchemeRedirect()
	}
	host := r.GetHostRedirect()
	if host == "" {
		host = q.Authority
		if h, port, err := net.SplitHostPort(host); err == nil {
			changed := scheme != q.Scheme && (q.Scheme == "http" && port == "80" || q.Scheme == "https" && port == "443")
			if changed || r.GetPortRedirect() != 0 {
				host = h
			}
		}
	}
	if r.GetPortRedirect() != 0 {
		host += ":" + strconv.Itoa(int(r.GetPortRedirect()))
	}
	path, query, hasQuery := strings.Cut(q.Path, "?")
	switch s := r.GetPathRewriteSpecifier().(type) {
	case *route.RedirectAction_PathRedirect:
		if s.PathRedirect != "" {
			path = s.PathRedirect
		}
		if strings.Contains(path, "?") {
			hasQuery = false
		}
	case *route.RedirectAction_PrefixRewrite:
		path = rewritePrefix(m, path, s.PrefixRewrite)
	case *route.RedirectAction_RegexRewrite:
		if re, err := regexp.Compile(s.RegexRewrite.GetPattern().GetRegex()); err == nil {
			path = re.ReplaceAllString(path, submatch.ReplaceAllString(s.RegexRewrite.GetSubstitution(), "$${$1}"))
		}
	}
	if hasQuery && !r.GetStripQuery() {
		path += "?" + query
	}
	return codes[r.GetResponseCode()], scheme + "://" + host + path
}

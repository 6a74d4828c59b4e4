package evaluator

import (
	"net/url"
	"regexp"
	"slices"
	"strings"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
)

// What an HTTP connection manager does to a request before it finds the route: the codec looks at the names of
// headers first, then the manager cleans the path.
//
// Source: Envoy, headers_with_underscores_action, path_with_escaped_slashes_action, normalize_path, merge_slashes;
// https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_conn_man/response_code_details.

// underscores drops headers, or refuses the request, where a name has an underscore; it reports whether the request
// goes on. An HTTP/2 stream is reset, without an answer.
func (k *walk) underscores(x *exchange, p *path) bool {
	action := x.manager.GetCommonHttpProtocolOptions().GetHeadersWithUnderscoresAction()
	for name := range x.q.Headers {
		if !strings.Contains(name, "_") {
			continue
		}
		switch action {
		case core.HttpProtocolOptions_ALLOW:
		case core.HttpProtocolOptions_DROP_HEADER:
			delete(x.q.Headers, name)
		case core.HttpProtocolOptions_REJECT_REQUEST:
			o := Outcome{Decision: NotRouted, Status: 400, Flag: "DPE", Details: "http1.unexpected_underscore"}
			if x.q.HTTP2 {
				o.Status, o.Flag, o.Details = 0, "DR", "http2.unexpected_underscore"
				if p.sent {
					o = p.failed(o, "UR", "remote_reset")
				}
			}
			k.end(p, o)
			return false
		}
	}
	return true
}

// cleanPath cleans a path as the manager's options ask; the outcome is set where the request goes no further.
func cleanPath(path string, m *hcm.HttpConnectionManager) (string, *Outcome) {
	sent, query, hasQuery := strings.Cut(path, "?")
	action, clean := m.GetPathWithEscapedSlashesAction(), sent
	decodes := []hcm.HttpConnectionManager_PathWithEscapedSlashesAction{
		hcm.HttpConnectionManager_REJECT_REQUEST, hcm.HttpConnectionManager_UNESCAPE_AND_REDIRECT, hcm.HttpConnectionManager_UNESCAPE_AND_FORWARD,
	}
	if slices.Contains(decodes, action) {
		clean = strings.NewReplacer("%2f", "/", "%2F", "/", "%5c", `\`, "%5C", `\`).Replace(sent)
	}
	decoded := clean != sent
	clean, ok := normalize(clean, m)
	if !ok || decoded && action == hcm.HttpConnectionManager_REJECT_REQUEST {
		return "", &Outcome{Decision: NotRouted, Status: 400, Details: "path_normalization_failed"}
	}
	if hasQuery {
		clean += "?" + query
	}
	if decoded && action == hcm.HttpConnectionManager_UNESCAPE_AND_REDIRECT {
		return clean, &Outcome{Decision: Redirected, Status: 307, Details: "path_normalization_failed", Location: clean}
	}
	return clean, nil
}

// normalize resolves segments and merges slashes; ok is false where it can not.
func normalize(path string, m *hcm.HttpConnectionManager) (clean string, ok bool) {
	if m.GetNormalizePath().GetValue() {
		if strings.Contains(path, "%00") {
			return "", false
		}
		path = removeDots(decodeUnreserved(strings.ReplaceAll(withoutDotParameters(path), `\`, "/")))
	}
	if m.GetMergeSlashes() {
		for strings.Contains(path, "//") {
			path = strings.ReplaceAll(path, "//", "/")
		}
	}
	return path, true
}

// dotParameters are parameters of segments that are dots.
var dotParameters = regexp.MustCompile(`(^|/)(\.\.?);[^/]*`)

// withoutDotParameters takes the parameters off dot segments.
// Source: https://github.com/envoyproxy/envoy/security/advisories/GHSA-2w8w-rfw7-8gg4.
func withoutDotParameters(path string) string { return dotParameters.ReplaceAllString(path, "$1$2") }

func decodeUnreserved(path string) string {
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		if path[i] == '%' && i+2 < len(path) {
			if c, err := url.PathUnescape(path[i : i+3]); err == nil && len(c) == 1 && unreserved(c[0]) {
				b.WriteByte(c[0])
				i += 2
				continue
			}
		}
		b.WriteByte(path[i])
	}
	return b.String()
}

func unreserved(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0
}

// removeDots resolves . and .. segments.
func removeDots(path string) string {
	segments := strings.Split(path, "/")
	out := []string{}
	for i, s := range segments {
		last := i == len(segments)-1
		switch s {
		case ".":
			if last {
				out = append(out, "")
			}
		case "..":
			if len(out) > 1 {
				out = out[:len(out)-1]
			}
			if last {
				out = append(out, "")
			}
		default:
			out = append(out, s)
		}
	}
	return strings.Join(out, "/")
}

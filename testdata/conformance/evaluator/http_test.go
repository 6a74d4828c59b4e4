package evaluator

import (
	"testing"

	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
)

// Source: docs + "api-v3/extensions/filters/network/http_connection_manager/v3/http_connection_manager.proto",
// normalize_path, merge_slashes, path_with_escaped_slashes_action.
func TestNormalizePath(t *testing.T) {
	const all = `normalize_path: true, merge_slashes: true, path_with_escaped_slashes_action: UNESCAPE_AND_FORWARD`
	for _, row := range []struct {
		says, options, path, want string
		status                    int
	}{
		{"nothing asked for", ``, `/a/../b//c%2Fd\e`, `/a/../b//c%2Fd\e`, 0},
		{"dots", `normalize_path: true`, "/a/./b/../c", "/a/c", 0},
		{"dots at the end", `normalize_path: true`, "/a/b/..", "/a/", 0},
		{"not above the root", `normalize_path: true`, "/../a", "/a", 0},
		{"a backslash is a slash", `normalize_path: true`, `/a\b`, "/a/b", 0},
		{"escapes of what needs none", `normalize_path: true`, "/%61%2Fb", "/a%2Fb", 0},
		{"two slashes stay", `normalize_path: true`, "/a//b", "/a//b", 0},
		{"two slashes merge", `merge_slashes: true`, "/a///b", "/a/b", 0},
		{"escaped slashes", all, "/a%2F%2fb%5Cc", "/a/b/c", 0},
		{"escaped slashes, then dots", all, "/a/b/..%2Fc", "/a/c", 0},
		{"parameters of dots", `normalize_path: true`, "/a/..;x=y/.;/b;z", "/b;z", 0},
		{"parameters of dots after a slash that was escaped", all, "/a%2F..;x/b", "/b", 0},
		{"parameters of dots stay where nothing is asked for", ``, "/a/..;x/b", "/a/..;x/b", 0},
		{"an escaped NUL is refused", `normalize_path: true`, "/a%00", "", 400},
		{"an escaped NUL in the query is not", `normalize_path: true`, "/a?%00", "/a?%00", 0},
		{"the query stays", all, "/a/../b?c/../d//e", "/b?c/../d//e", 0},
		{"an escaped slash is refused", `path_with_escaped_slashes_action: REJECT_REQUEST`, "/a%5cb", "", 400},
		{"an escaped slash in the query is not", `path_with_escaped_slashes_action: REJECT_REQUEST`, "/a?%2f", "/a?%2f", 0},
		{"an escaped slash redirects", `merge_slashes: true, path_with_escaped_slashes_action: UNESCAPE_AND_REDIRECT`, "/a%2fb//c?d", "/a/b/c?d", 307},
		{"nothing to redirect for", `merge_slashes: true, path_with_escaped_slashes_action: UNESCAPE_AND_REDIRECT`, "/a//c", "/a/c", 0},
	} {
		t.Run(row.says, func(t *testing.T) {
			got, end := cleanPath(row.path, xds(t, "{"+row.options+"}", &hcm.HttpConnectionManager{}))
			if got != row.want || (end == nil) != (row.status == 0) || end != nil && end.Status != row.status {
				t.Errorf("%q, %+v, not %q, %d", got, end, row.want, row.status)
			}
		})
	}
}

package evaluator

import (
	"testing"

	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
)

// Source: docs + "api-v3/extensions/filters/network/http_connection_manager/v3/http_connection_manager.proto",
// normalize_path, merge_slashes, path_with_escaped_slashes_action.
func TestNormalizePath(t *testing.T) {
	const all = `normalize_path: true, merge_slashes: true, path_with_escaped_slashes_action: UNESCAPE_AND_FORWARD`
	for _, row := range []struct{ says, options, path, want string }{
		{"nothing asked for", ``, `/a/../b//c%2Fd\e`, `/a/../b//c%2Fd\e`},
		{"dots", `normalize_path: true`, "/a/./b/../c", "/a/c"},
		{"dots at the end", `normalize_path: true`, "/a/b/..", "/a/"},
		{"not above the root", `normalize_path: true`, "/../a", "/a"},
		{"a backslash is a slash", `normalize_path: true`, `/a\b`, "/a/b"},
		{"escapes of what needs none", `normalize_path: true`, "/%61%2Fb", "/a%2Fb"},
		{"two slashes stay", `normalize_path: true`, "/a//b", "/a//b"},
		{"two slashes merge", `merge_slashes: true`, "/a///b", "/a/b"},
		{"escaped slashes", all, "/a%2F%2fb%5Cc", "/a/b/c"},
		{"escaped slashes, then dots", all, "/a/b/..%2Fc", "/a/c"},
		{"parameters of dots", `normalize_path: true`, "/a/..;x=y/.;/b;z", "/b;z"},
		{"parameters of dots after a slash that was escaped", all, "/a%2F..;x/b", "/b"},
		{"parameters of dots stay where nothing is asked for", ``, "/a/..;x/b", "/a/..;x/b"},
		{"an escaped NUL is refused", `normalize_path: true`, "/a%00", ""},
		{"an escaped NUL in the query is not", `normalize_path: true`, "/a?%00", "/a?%00"},
		{"the query stays", all, "/a/../b?c/../d//e", "/b?c/../d//e"},
	} {
		t.Run(row.says, func(t *testing.T) {
			got, ok := normalize(row.path, xds(t, "{"+row.options+"}", &hcm.HttpConnectionManager{}))
			if got != row.want || ok != (row.want != "") {
				t.Errorf("%q, not %q", got, row.want)
			}
		})
	}
}

package resolve

import (
	"strings"
	"testing"

	meshconfig "istio.io/api/mesh/v1alpha1"
)

const (
	pathNone    = meshconfig.MeshConfig_ProxyPathNormalization_NONE
	pathBase    = meshconfig.MeshConfig_ProxyPathNormalization_BASE
	pathMerge   = meshconfig.MeshConfig_ProxyPathNormalization_MERGE_SLASHES
	pathDecode  = meshconfig.MeshConfig_ProxyPathNormalization_DECODE_AND_MERGE_SLASHES
	pathDefault = meshconfig.MeshConfig_ProxyPathNormalization_DEFAULT
)

func TestNormalizePath(t *testing.T) {
	tests := []struct{ sent, none, base, merge, decode string }{
		{"/app/../admin", "/app/../admin", "/admin", "/admin", "/admin"},
		{"/app//", "/app//", "/app//", "/app/", "/app/"},
		{"/app%2fx", "/app%2fx", "/app%2fx", "/app%2fx", "/app/x"},
		{`/app\admin`, `/app\admin`, "/app/admin", "/app/admin", "/app/admin"},
		{"/app#f", "/app", "/app", "/app", "/app"},
		{"/a%5Cb", "/a%5Cb", "/a%5Cb", "/a%5Cb", "/a/b"},
		{"/a/%2E%2e/b", "/a/%2E%2e/b", "/b", "/b", "/b"},
		{"/a/.%2e/b", "/a/.%2e/b", "/b", "/b", "/b"},
		{"/a/..%2fb", "/a/..%2fb", "/a/..%2fb", "/a/..%2fb", "/b"},
		{"/%61b%2Dc", "/%61b%2Dc", "/ab-c", "/ab-c", "/ab-c"},
		{"/%c0%af%25", "/%c0%af%25", "/%c0%af%25", "/%c0%af%25", "/%c0%af%25"},
		{"/%%370", "/%%370", "/%2570", "/%2570", "/%2570"},
		{"/%7%30", "/%7%30", "/%2570", "/%2570", "/%2570"},
		{"/a%zz%", "/a%zz%", "/a%zz%", "/a%zz%", "/a%zz%"},
		{"/a b\u00e9", "/a b\u00e9", "/a%20b%C3%A9", "/a%20b%C3%A9", "/a%20b%C3%A9"},
		{"/a/.", "/a/.", "/a/", "/a/", "/a/"},
		{"/a/b/..", "/a/b/..", "/a/", "/a/", "/a/"},
		{"/../../a", "/../../a", "/a", "/a", "/a"},
		{"/a//../b", "/a//../b", "/a/b", "/a/b", "/a/b"},
		{"/a/..;/b", "/a/..;/b", "/b", "/b", "/b"},
		{"/a/.;x=1;y/b;z", "/a/.;x=1;y/b;z", "/a/b;z", "/a/b;z", "/a/b;z"},
		{"/a/b/..;x", "/a/b/..;x", "/a/", "/a/", "/a/"},
		{"/a/...;x/..y;/b", "/a/...;x/..y;/b", "/a/...;x/..y;/b", "/a/...;x/..y;/b", "/a/...;x/..y;/b"},
		{"/a/%2e.;x/b", "/a/%2e.;x/b", "/a/..;x/b", "/a/..;x/b", "/a/..;x/b"},
		{"/a%2f..;x/b", "/a%2f..;x/b", "/a%2f..;x/b", "/a%2f..;x/b", "/b"},
		{"/.hidden/..x", "/.hidden/..x", "/.hidden/..x", "/.hidden/..x", "/.hidden/..x"},
		{"a/./b", "a/./b", "/a/b", "/a/b", "/a/b"},
		{"", "", "/", "/", "/"},
		{"/a//b?x=//..", "/a//b?x=//..", "/a//b?x=//..", "/a/b?x=//..", "/a/b?x=//.."},
	}
	for _, tt := range tests {
		t.Run(tt.sent, func(t *testing.T) {
			for mode, want := range map[meshconfig.MeshConfig_ProxyPathNormalization_NormalizationType]string{
				pathNone: tt.none, pathBase: tt.base, pathDefault: tt.base, pathMerge: tt.merge, pathDecode: tt.decode,
			} {
				if got := NormalizePath(tt.sent, cleaningOf(mode)); got != want {
					t.Errorf("%s: want %q, got %q", mode, want, got)
				}
			}
		})
	}
}

func TestPathRefused(t *testing.T) {
	refused := func(path string, mode meshconfig.MeshConfig_ProxyPathNormalization_NormalizationType) bool {
		_, step := cleaningOf(mode).Clean(path)
		return step != nil && step.Verdict == None
	}
	if !refused("/a%00b", pathBase) || refused("/a%00b", pathNone) || refused("/a", pathBase) || refused("/a?%00", pathBase) {
		t.Error("an escaped NUL is refused, unless nothing is normalized or it stands in the query")
	}
}

// A normalized path is not changed by normalizing it once more, unless decoding made a dot segment with parameters of it.
func FuzzNormalizePath(f *testing.F) {
	f.Add("/a/../b//c%2e%2E/%5c")
	f.Fuzz(func(t *testing.T, path string) {
		for _, mode := range []meshconfig.MeshConfig_ProxyPathNormalization_NormalizationType{pathNone, pathBase, pathMerge} {
			once := NormalizePath(path, cleaningOf(mode))
			if again := NormalizePath(once, cleaningOf(mode)); again != once && !strings.Contains(once, ".;") {
				t.Errorf("%s: %q becomes %q, and then %q", mode, path, once, again)
			}
		}
	})
}

package load

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/mesh-trace/kubectl-mesh-trace/cmd/load/loadtest"
	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// listsOf are the requests for one list, in the order in which they came.
func listsOf(s *loadtest.Server, path string) []string {
	var out []string
	for _, r := range s.Requests() {
		if strings.HasPrefix(r, "GET "+path) {
			out = append(out, strings.TrimPrefix(r, "GET "+path))
		}
	}
	return out
}

func TestListContinuesPageByPage(t *testing.T) {
	for _, path := range []string{"/api/v1/services", "/apis/networking.istio.io/v1/virtualservices"} {
		for _, protobuf := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s protobuf=%t", path, protobuf), func(t *testing.T) {
				s := loadtest.New(t)
				s.PageSize, s.Protobuf = 2, protobuf
				for i := range 5 {
					s.Add(t, path, fmt.Sprintf("{metadata: {namespace: shop, name: o%d}}", i))
				}
				in := readStub(t, s, ClusterOptions{})
				if got := len(in.Resources); got != 5 {
					t.Errorf("%d resources, want 5: %v", got, names(in))
				}
				want := []string{"?limit=1000", "?continue=2&limit=1000", "?continue=4&limit=1000"}
				if diff := cmp.Diff(want, listsOf(s, path)); diff != "" {
					t.Errorf("requests (-want +got):\n%s", diff)
				}
			})
		}
	}
}

func TestListThatExpiresIsReadOnceMoreWhole(t *testing.T) {
	const path = "/apis/networking.istio.io/v1/virtualservices"
	tests := []struct {
		name    string
		expires func(r *http.Request) bool
		asked   []string
		objects int
		gaps    []resolve.Gap
	}{
		{
			name:    "between two pages",
			expires: func(r *http.Request) bool { return r.URL.Query().Get("continue") == "4" },
			asked:   []string{"?limit=1000", "?continue=2&limit=1000", "?continue=4&limit=1000", ""},
			objects: 5,
		},
		{
			name:    "and again",
			expires: func(r *http.Request) bool { return r.URL.Query().Get("limit") == "" || r.URL.Query().Has("continue") },
			asked:   []string{"?limit=1000", "?continue=2&limit=1000", ""},
			gaps: []resolve.Gap{{
				GroupKind: schema.GroupKind{Group: "networking.istio.io", Kind: "VirtualService"},
				Reason:    resolve.GapFailed, Detail: "too old",
			}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := loadtest.New(t)
			s.MeshConfig(t, "istio-system", "istio", "")
			s.PageSize = 2
			for i := range 5 {
				s.Add(t, path, virtualService("shop", fmt.Sprintf("o%d", i)))
			}
			s.Answer = func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path != path || !tt.expires(r) {
					return false
				}
				loadtest.WriteStatus(w, http.StatusGone, "too old")
				return true
			}
			in := readStub(t, s, ClusterOptions{})
			if diff := cmp.Diff(tt.asked, listsOf(s, path)); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
			if got := names(in); len(got) != tt.objects || len(slices.Compact(got)) != tt.objects {
				t.Errorf("resources %v, want %d different ones", got, tt.objects)
			}
			if diff := cmp.Diff(tt.gaps, in.Gaps); diff != "" {
				t.Errorf("gaps (-want +got):\n%s", diff)
			}
		})
	}
}

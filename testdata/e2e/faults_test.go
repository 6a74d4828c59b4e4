package e2e

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/mesh-trace/kubectl-mesh-trace/testdata/e2e/cluster"
)

// An API server that is slow, throttles, forgets and breaks: the right trace, one that tells what is missing, or one error.

// status answers as the API server does where it fails.
func status(w http.ResponseWriter, code int, reason string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write([]byte(`{"kind":"Status","apiVersion":"v1","status":"Failure","message":"injected","reason":"` + reason + `","code":` + strconv.Itoa(code) + `}`))
}

// cut begins the true answer and breaks the connection in the middle of it.
func cut(p *proxy, w http.ResponseWriter, r *http.Request) {
	whole := httptest.NewRecorder()
	p.next.ServeHTTP(whole, r)
	for k, v := range whole.Header() {
		w.Header()[k] = v
	}
	w.Header().Set("Content-Length", strconv.Itoa(whole.Body.Len()))
	_, _ = w.Write(whole.Body.Bytes()[:whole.Body.Len()/2])
	if f, ok := w.(http.Flusher); ok {
		f.Flush()
	}
	panic(http.ErrAbortHandler)
}

// first reports true to the first n requests for each address.
func first(n int) func(*http.Request) bool {
	var mu sync.Mutex
	seen := map[string]int{}
	return func(r *http.Request) bool {
		mu.Lock()
		defer mu.Unlock()
		seen[r.URL.String()]++
		return seen[r.URL.String()] <= n
	}
}

// broken are API servers, each with what is expected of a trace: the same, or any that is sound.
func broken(p *proxy) []struct {
	name  string
	want  string
	fault func(http.ResponseWriter, *http.Request) bool
} {
	again, expired := first(1), first(1)
	var pages atomic.Int32
	return []struct {
		name  string
		want  string
		fault func(http.ResponseWriter, *http.Request) bool
	}{
		{"nothing is wrong", same, func(http.ResponseWriter, *http.Request) bool { return false }},
		{"every answer is slow", same, func(http.ResponseWriter, *http.Request) bool {
			time.Sleep(100 * time.Millisecond)
			return false
		}},
		{"429 once for each request, with Retry-After", same, func(w http.ResponseWriter, r *http.Request) bool {
			if !again(r) {
				return false
			}
			w.Header().Set("Retry-After", "1")
			status(w, http.StatusTooManyRequests, "TooManyRequests")
			return true
		}},
		{"pages of one object", same, func(_ http.ResponseWriter, r *http.Request) bool {
			onePerPage(r)
			pages.Add(1)
			return false
		}},
		{"410 in the middle of a list, once", same, func(w http.ResponseWriter, r *http.Request) bool {
			onePerPage(r)
			if !r.URL.Query().Has("continue") || !expired(r) {
				return false
			}
			status(w, http.StatusGone, "Expired")
			return true
		}},
		{"410 for every further page", "", func(w http.ResponseWriter, r *http.Request) bool {
			onePerPage(r)
			if !r.URL.Query().Has("continue") {
				return false
			}
			status(w, http.StatusGone, "Expired")
			return true
		}},
		{"429 for one kind, always", lowered, onlyFor("virtualservices", func(w http.ResponseWriter) {
			w.Header().Set("Retry-After", "0")
			status(w, http.StatusTooManyRequests, "TooManyRequests")
		})},
		{"500 for one kind", lowered, onlyFor("virtualservices", func(w http.ResponseWriter) { status(w, http.StatusInternalServerError, "InternalError") })},
		{"500 for services", "", onlyFor("services", func(w http.ResponseWriter) { status(w, http.StatusInternalServerError, "InternalError") })},
		{"500 for endpointslices", "", onlyFor("endpointslices", func(w http.ResponseWriter) { status(w, http.StatusInternalServerError, "InternalError") })},
		{"500 for every list", "", func(w http.ResponseWriter, r *http.Request) bool {
			if lists(r) {
				status(w, http.StatusInternalServerError, "InternalError")
			}
			return lists(r)
		}},
		{"503 for everything", failed, func(w http.ResponseWriter, _ *http.Request) bool {
			status(w, http.StatusServiceUnavailable, "ServiceUnavailable")
			return true
		}},
		{"a page of HTML for one kind", lowered, onlyFor("virtualservices", html)},
		{"a page of HTML for pods", "", onlyFor("pods", html)},
		{"a page of HTML for everything", failed, func(w http.ResponseWriter, _ *http.Request) bool { html(w); return true }},
		{"an empty answer for one kind", lowered, onlyFor("virtualservices", func(http.ResponseWriter) {})},
		{"an empty answer for pods", lowered, onlyFor("pods", func(http.ResponseWriter) {})},
		{"an empty answer for authorization policies", lowered, onlyFor("authorizationpolicies", func(http.ResponseWriter) {})},
		{"bytes that are no protobuf for endpointslices", "", onlyFor("endpointslices", func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "application/vnd.kubernetes.protobuf")
			_, _ = w.Write([]byte("k8s\x00\xff\xff\xff"))
		})},
		{"a list of another kind", "", onlyFor("virtualservices", func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(`{"apiVersion":"v1","kind":"List","items":"none"}`))
		})},
		{"the connection breaks in the middle of one kind", "", func(w http.ResponseWriter, r *http.Request) bool {
			if listOf(r, "virtualservices") {
				cut(p, w, r)
			}
			return false
		}},
		{"the connection breaks in the middle of every list", "", func(w http.ResponseWriter, r *http.Request) bool {
			if lists(r) {
				cut(p, w, r)
			}
			return false
		}},
		{"discovery of one group fails", "", func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != "/apis/networking.istio.io/v1" {
				return false
			}
			status(w, http.StatusServiceUnavailable, "ServiceUnavailable")
			return true
		}},
	}
}

func html(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/html")
	_, _ = w.Write([]byte("<html>log in</html>"))
}

// onlyFor breaks the lists of one kind.
func onlyFor(plural string, answer func(http.ResponseWriter)) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if !listOf(r, plural) {
			return false
		}
		answer(w)
		return true
	}
}

// onePerPage has a list come in pages of one.
func onePerPage(r *http.Request) {
	if q := r.URL.Query(); q.Has("limit") {
		q.Set("limit", "1")
		r.URL.RawQuery = q.Encode()
	}
}

// asTokenUser lets the owner of the token do what the documentation says.
func asTokenUser(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	asDocumented(t, c)
	await(t, c, cluster.TokenUser, "", attributes("get", "secrets"), false) // the binding of the test before
	role, inIstioSystem := documentedRoles(t)
	role.Rules = append(role.Rules, rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"get"}})
	bind(t, c, cluster.TokenUser, role, &inIstioSystem)
	await(t, c, cluster.TokenUser, "", attributes("get", "secrets"), true)
	await(t, c, cluster.TokenUser, "", attributes("get", "configmaps", "istio-system"), true)
}

func TestABrokenAPIServerGivesNoWrongCertainAnswer(t *testing.T) {
	c := withShop(t)
	asTokenUser(t, c)
	p := throughProxy(t, c)
	request := shopRequests[4]
	p.fault = nil
	full := ask(t, p.kubeconfig, request)
	for _, q := range broken(p) {
		t.Run(q.name, func(t *testing.T) {
			p.fault = q.fault
			got := ask(t, p.kubeconfig, request)
			verdict := sound(t, q.name, full, got)
			if q.want != "" && verdict != q.want {
				t.Errorf("%s, want %s: exit %d\n%s%s", verdict, q.want, got.exit, got.stdout, got.stderr)
			}
			if q.want == same && got != full {
				t.Errorf("another trace:\n%s%s\nthan\n%s", got.stdout, got.stderr, full.stdout)
			}
			t.Logf("%s: exit %d %s", verdict, got.exit, strings.TrimSpace(got.stderr))
		})
	}
}

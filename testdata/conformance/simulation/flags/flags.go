// Package flags stands in for istio.io/istio/pkg/test in Istio's simulation tests: it remembers which
// feature flags a test turns away from their defaults.
package flags

import (
	"fmt"
	"reflect"
	"strings"
	"sync"

	"istio.io/istio/pilot/pkg/features"
	"istio.io/istio/pkg/test"
)

// Failer is the part of testing.T that Istio's helpers need.
type Failer = test.Failer

var (
	mu     sync.Mutex
	turned = map[string]string{}
	names  = map[any]string{
		&features.EnableTLSOnSidecarIngress: "EnableTLSOnSidecarIngress",
		&features.EnableIPAutoallocate:      "EnableIPAutoallocate",
	}
)

// SetForTest sets a feature flag until the test ends.
func SetForTest[T any](t Failer, flag *T, value T) {
	t.Helper()
	if named, ok := t.(interface{ Name() string }); ok && !reflect.DeepEqual(*flag, value) {
		name := names[flag]
		if name == "" {
			name = "unnamed"
		}
		mu.Lock()
		turned[named.Name()] = fmt.Sprintf("flag %s=%v is not the default", name, value)
		mu.Unlock()
	}
	test.SetForTest(t, flag, value)
}

// Turned tells which flag holds in a test that is not at its default; empty for none.
func Turned(name string) string {
	mu.Lock()
	defer mu.Unlock()
	for {
		if f, ok := turned[name]; ok {
			return f
		}
		i := strings.LastIndex(name, "/")
		if i < 0 {
			return ""
		}
		name = name[:i]
	}
}

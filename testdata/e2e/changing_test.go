package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// Objects that come, change and go while they are read.

const traces = 25

func TestObjectsThatChangeWhileTheyAreReadGiveAWholeAnswer(t *testing.T) {
	c := withShop(t)
	admin := c.Kubeconfig(t, "")
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	changes := 0
	go func() {
		var err error
		for err == nil && ctx.Err() == nil {
			err = change(ctx, c.TryApply, c.Delete, changes)
			changes++
		}
		ended <- err
	}()
	exits := map[int]int{}
	for i := range traces {
		request := shopRequests[i%len(shopRequests)]
		got := ask(t, admin, request)
		exits[got.exit]++
		switch got.exit {
		case 0:
			if !json.Valid([]byte(got.stdout)) {
				t.Errorf("%s: no whole JSON:\n%s", request, got.stdout)
			}
		case 1:
			if got.stdout != "" || strings.Count(got.stderr, "\n") != 1 || !strings.HasPrefix(got.stderr, "error: ") {
				t.Errorf("%s: stdout %q, stderr %q", request, got.stdout, got.stderr)
			}
		default:
			t.Errorf("%s: exit %d: %s", request, got.exit, got.stderr)
		}
	}
	stop()
	if err := <-ended; err != nil && ctx.Err() == nil {
		t.Fatal(err)
	}
	if changes < traces || exits[0] == 0 {
		t.Errorf("%d changes during %d traces, exits %v: nothing was tried", changes, traces, exits)
	}
	t.Logf("%d changes, exits %v", changes, exits)
}

// change makes, moves and removes what the requests come by: routes, subsets, policies, pods and their slices.
func change(ctx context.Context, apply, remove func(context.Context, ...string) error, n int) error {
	changing := []string{
		fmt.Sprintf(`
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, namespace: shop}
spec: {hosts: [reviews], http: [{route: [{destination: {host: reviews, subset: v%d}}]}]}
`, n%4),
		`
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews, namespace: shop}
spec: {host: reviews, subsets: [{name: v1, labels: {version: v1}}]}
`,
		`
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: ratings-readers, namespace: shop}
spec: {selector: {matchLabels: {app: ratings}}}
`,
		fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: reviews-new, namespace: shop, labels: {app: reviews, version: v%d}}
spec: {containers: [{name: app, image: app}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: reviews-new, namespace: shop, labels: {kubernetes.io/service-name: reviews}}
addressType: IPv4
endpoints: [{addresses: [10.244.200.%d], conditions: {ready: true}, targetRef: {kind: Pod, name: reviews-new, namespace: shop}}]
ports: [{name: http, port: 9080}]
`, n%2, 1+n%200),
		`
apiVersion: v1
kind: Service
metadata: {name: ratings, namespace: shop}
spec: {selector: {app: ratings}, ports: [{name: http, port: 9080}]}
`,
	}
	one := changing[n%len(changing)]
	if n/len(changing)%2 == 1 {
		return remove(ctx, one)
	}
	// Labels of a pod change, the rest of it may not: it is made anew.
	if err := remove(ctx, one); err != nil {
		return err
	}
	return apply(ctx, one)
}

package cmd

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/mesh-trace/kubectl-mesh-trace/cmd/load"
)

// TestSnapshotWithoutNamesOfEveryScenario takes a snapshot with other names of each request: it is refused, or the outcomes
// are those of the scenario, and the namespaces and names of its objects are nowhere in it.
func TestSnapshotWithoutNamesOfEveryScenario(t *testing.T) {
	var requests, refused atomic.Int64
	eachTracedRequest(t, func(t *testing.T, at, dir string, flags, args []string, one *tracing) {
		requests.Add(1)
		file := filepath.Join(dir, "snapshot.yaml")
		taken := runWith(t, join(), append(append([]string{"snapshot", "--redact-names", "-o", file}, flags...), args...)...)
		if taken.Code != 0 {
			refused.Add(1)
			if taken.Code != 1 || taken.Out != "" || !strings.HasPrefix(taken.ErrOut, "error: --redact-names: ") {
				t.Errorf("%s: %+v", at, taken)
			} else {
				t.Logf("refused: %s: %s", at, taken.ErrOut)
			}
			return
		}
		again := traceWith(t, recordedArgs(t, file))
		if again == nil {
			t.Errorf("%s: the replay fails", at)
			return
		}
		if diff := cmp.Diff(decisionsOf(one), decisionsOf(again)); diff != "" {
			t.Errorf("%s (-scenario +snapshot):\n%s", at, diff)
		}
	})
	t.Logf("%d requests, %d refused", requests.Load(), refused.Load())
	if refused.Load()*15 > requests.Load() {
		t.Errorf("%d of %d are refused", refused.Load(), requests.Load())
	}
}

// recordedArgs is the command line of the first request of a snapshot, with the file and without the program.
func recordedArgs(t *testing.T, file string) []string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, _, _ := strings.Cut(string(text), "\n---\n")
	var document load.SnapshotDocument
	if err := yaml.UnmarshalStrict([]byte(head), &document); err != nil {
		t.Fatal(err)
	}
	args, err := splitArgs(strings.ReplaceAll(document.Requests[0].Command, `'\''`, `"'"`))
	if err != nil {
		t.Fatal(err)
	}
	args[slices.Index(args, "FILE")] = file
	return args[2:]
}

func decisionsOf(t *tracing) []string {
	var out []string
	for _, o := range t.trace.Outcomes {
		out = append(out, fmt.Sprintln(o.Weight, o.Decision, o.HTTPStatus, o.ResponseFlags, o.Code, o.Certainty, o.Destination.Endpoints, o.Destination.Port, len(o.Hops)))
	}
	return out
}

// namesMesh names somebody everywhere.
const namesMesh = `apiVersion: v1
kind: Namespace
metadata: {name: acme-payments, labels: {istio-injection: enabled, acme.example/team: zebra}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: walrus, namespace: acme-payments}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: walrus-web, namespace: acme-payments}
spec: {selector: {matchLabels: {app: walrus}}, template: {metadata: {labels: {app: walrus, acme.example/team: zebra}}, spec: {serviceAccountName: walrus, containers: [{name: walrus}]}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: ledger, namespace: acme-payments}
spec: {selector: {matchLabels: {app: ledger}}, template: {metadata: {labels: {app: ledger, acme.example/team: zebra}}, spec: {containers: [{name: ledger}]}}}
---
apiVersion: v1
kind: Service
metadata: {name: ledger, namespace: acme-payments}
spec: {selector: {app: ledger, acme.example/team: zebra}, ports: [{name: http, port: 80}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: ledger, namespace: acme-payments}
spec: {hosts: ["ledger", "*.acme.example"], http: [{match: [{uri: {prefix: /invoices/}}], route: [{destination: {host: ledger}}]}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: ledger, namespace: acme-payments}
spec: {selector: {matchLabels: {app: ledger}}, rules: [{from: [{source: {principals: ["cluster.local/ns/acme-*"]}}], to: [{operation: {paths: ["/invoices/*"]}}]}]}
`

func TestSnapshotWithoutNames(t *testing.T) {
	t.Chdir(t.TempDir())
	mesh := func(text string) {
		if err := os.WriteFile("acme-mesh.yaml", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	mesh(namesMesh)
	take := []string{"snapshot", "--redact-names", "-f", "acme-mesh.yaml", "-n", "acme-payments", "--from", "deployment/walrus-web", "ledger/invoices/7"}
	taken := runWith(t, join(), take...)
	if taken.Code != 0 {
		t.Fatalf("%+v", taken)
	}
	if found := regexp.MustCompile(`(?i)acme|zebra|walrus|ledger|payments|invoices`).FindAllString(taken.Out, -1); len(found) > 0 {
		t.Errorf("in the snapshot: %q\n%s", found, taken.Out)
	}
	if again := runWith(t, join(), take...); again != taken {
		t.Error("another time it is another one")
	}
	if err := os.WriteFile("snapshot.yaml", []byte(taken.Out), 0o600); err != nil {
		t.Fatal(err)
	}
	if again := traceWith(t, recordedArgs(t, "snapshot.yaml")); again == nil || again.trace.Outcomes[0].Decision != "Delivered" {
		t.Errorf("%+v\n%s", again, taken.Out)
	}

	mesh(strings.ReplaceAll(namesMesh, "{prefix: /invoices/}", `{regex: "/inv(oic|it)es/.*"}`))
	if r := runWith(t, join(), take...); r.Code != 1 || r.Out != "" || !strings.HasPrefix(r.ErrOut, "error: --redact-names: with other names, a trace would be another one") {
		t.Errorf("a regular expression that has a part of a word: %+v", r)
	}
}

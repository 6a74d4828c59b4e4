package load

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

const besideSecret = `apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: shop}
spec: {ports: [{name: http, port: 80}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: reviews, namespace: shop}
spec: {selector: {matchLabels: {app: reviews}}, template: {metadata: {labels: {app: reviews}}, spec: {containers: [{name: app, image: app}]}}}
---
`

// secretFiles are manifests with a Secret, by what they are; %[1]s is what nobody may see.
var secretFiles = map[string]string{
	"alone":                "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: shop, annotations: {a: '%[1]s'}}\nstringData:\n  password: %[1]s\ntype: Opaque\n",
	"among others":         besideSecret + "apiVersion: v1\nkind: Secret\nmetadata:\n  name: s\n  namespace: shop\ndata:\n  password: %[1]s\ntype: Opaque\n---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {name: x, namespace: shop}\n",
	"in a block":           besideSecret + "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: shop}\nstringData:\n  password: |\n    first\n    %[1]s\ntype: Opaque\n",
	"in a list":            "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Service\n  metadata: {name: reviews, namespace: shop}\n  spec: {ports: [{name: http, port: 80}]}\n- apiVersion: v1\n  kind: Secret\n  metadata: {name: s, namespace: shop}\n  type: Opaque\n  data: {password: %[1]s}\n",
	"in a list read whole": "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Service\n  metadata:\n    name: reviews\n    annotations: {a: \"x\n- y\"}\n- apiVersion: v1\n  kind: Secret\n  metadata: {name: s, namespace: shop}\n  type: Opaque\n  data: {password: %[1]s}\n",
	"in SecretList":        "apiVersion: v1\nkind: SecretList\nitems:\n- metadata: {name: s, namespace: shop}\n  type: Opaque\n  data: {password: %[1]s}\n",
	"as JSON":              `{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"Service","metadata":{"name":"reviews","namespace":"shop"},"spec":{"ports":[{"name":"http","port":80}]}},{"apiVersion":"v1","kind":"Secret","metadata":{"name":"s","namespace":"shop"},"type":"Opaque","data":{"password":"%[1]s"}}]}`,
	"malformed":            besideSecret + "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: shop}\nstringData:\n  password: *%[1]s\ntype: Opaque\n",
}

// TestNothingOfASecretIsKept looks at all that a process holds once manifests are read, whatever way it is held.
func TestNothingOfASecretIsKept(t *testing.T) {
	for name, text := range secretFiles {
		for _, kustomized := range []bool{false, true} {
			if kustomized && slices.Contains([]string{"malformed", "in a list", "in a list read whole", "in SecretList", "as JSON"}, name) {
				continue // kustomize refuses, or takes lists apart
			}
			t.Run(fmt.Sprint(name, " kustomized ", kustomized), func(t *testing.T) {
				dir := t.TempDir()
				backwards := writeWithSecret(t, filepath.Join(dir, "mesh.yaml"), text)
				opts := ManifestOptions{Paths: []string{filepath.Join(dir, "mesh.yaml")}, Defer: true}
				if kustomized {
					if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte("resources: [mesh.yaml]\n"), 0o600); err != nil {
						t.Fatal(err)
					}
					opts = ManifestOptions{Kustomize: dir, Defer: true}
				}
				in, err := Manifests(opts)
				if err != nil {
					t.Fatal("read:", err)
				}
				snapshot := resolve.NewSnapshot(in)
				if secret := snapshot.SecretOf("shop", "s"); name != "malformed" && (!secret.Found || secret.Type != "Opaque") {
					t.Errorf("the Secret is %+v", secret)
				}
				for _, r := range in.Resources {
					_ = r.Origin.Locate("spec.ports[0].port")
				}
				for _, n := range in.Notes {
					if strings.Contains(backward(n.Message), string(backwards)) {
						t.Error("a note shows it")
					}
				}
				if held(t, backwards) {
					t.Error("it is still in memory")
				}
				runtime.KeepAlive(in)
				runtime.KeepAlive(snapshot)
			})
		}
	}
}

// TestHeldFindsWhatIsKept holds the test above to what it is for: where the text of the source is kept, it is found.
func TestHeldFindsWhatIsKept(t *testing.T) {
	name := filepath.Join(t.TempDir(), "mesh.yaml")
	backwards := writeWithSecret(t, name, secretFiles["among others"])
	text, err := readFile(name)
	if err != nil {
		t.Fatal(err)
	}
	docs := cut(source{name: name}, text)
	if !held(t, backwards) {
		t.Error("it is in memory and not found")
	}
	runtime.KeepAlive(docs)
}

// writeWithSecret writes a manifest with a random text in it, and returns that text backwards, so
// that it is nowhere else in memory.
func writeWithSecret(t *testing.T, name, text string) []byte {
	t.Helper()
	random := make([]byte, 12)
	if _, err := rand.Read(random); err != nil {
		t.Fatal(err)
	}
	value := fmt.Sprintf("%x", random)
	file := []byte(fmt.Sprintf(text, value))
	if err := os.WriteFile(name, file, 0o600); err != nil {
		t.Fatal(err)
	}
	clear(file)
	return []byte(backward(value))
}

func backward(s string) string {
	b := []byte(s)
	slices.Reverse(b)
	return string(b)
}

// held reports whether a text, given backwards, is in what the process holds: in a dump of the heap.
func held(t *testing.T, backwards []byte) bool {
	t.Helper()
	runtime.GC()
	runtime.GC() // the first may have begun before the last reference went
	file, err := os.Create(filepath.Join(t.TempDir(), "heap"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	debug.WriteHeapDump(file.Fd())
	dump, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(dump)
	return bytes.Contains(dump, backwards)
}

package cmd

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

// hostilePages are texts that would act in a page, besides those that act on a terminal.
var hostilePages = map[string]string{
	"a script":       `"><script>alert(1)</script>`,
	"an attribute":   `' onmouseover='alert(1)`,
	"an address":     "javascript:alert(1)",
	"a comment":      "--><!-- x",
	"a style":        "</style><style>*{background:url(//example.com)}",
	"an image":       "<img src=//example.com/x onerror=alert(1)>",
	"an entity":      "&lt;script&gt; &#60;",
	"a template":     "{{.}}${x}`",
	"a frame":        "<iframe srcdoc='<b>'></iframe>",
	"the page's end": "</pre></main></body></html><b>",
	"a directive":    "%%{init: {}}%%\nend",
	"a number":       "a;b#35;<br/>",
}

// pageAttributes are the attributes that an element of a page may have.
var pageAttributes = map[string][]string{
	"html": {"lang"}, "head": nil, "meta": {"charset", "content", "http-equiv", "name"}, "title": nil, "style": nil, "body": nil,
	"a": {"class", "href"}, "header": nil, "main": nil, "footer": nil, "section": {"id", "class", "aria-labelledby"}, "div": {"class"}, "p": {"class"},
	"span": {"class", "aria-hidden"}, "strong": {"class"}, "h1": {"id", "class"}, "h2": {"id"}, "h3": {"id"}, "h4": nil, "ol": {"class"}, "ul": {"class"}, "li": {"class"},
	"dl": {"class"}, "dt": nil, "dd": {"class"}, "details": {"class", "open"}, "summary": nil, "figure": nil, "figcaption": nil, "pre": nil, "mark": {"class"},
}

var pageOwn = regexp.MustCompile(`^[a-z0-9# -]*$`)

// checkPage holds that a page has nothing but what its template has.
func checkPage(t *testing.T, text string) {
	t.Helper()
	root, err := html.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	styles := 0
	for n := range root.Descendants() {
		if n.Type == html.CommentNode {
			t.Errorf("a comment: %q", n.Data)
		}
		if n.Type != html.ElementNode {
			continue
		}
		allowed, known := pageAttributes[n.Data]
		if !known {
			t.Errorf("an element %s", n.Data)
		}
		if n.Data == "style" {
			styles++
		}
		for _, a := range n.Attr {
			if !slices.Contains(allowed, a.Key) || n.Data != "meta" && n.Data != "html" && !pageOwn.MatchString(a.Val) {
				t.Errorf("%s has %s=%q", n.Data, a.Key, a.Val)
			}
		}
	}
	if styles != 1 {
		t.Errorf("%d styles", styles)
	}
}

// TestHostileTextReachesNoPicture writes hostile texts wherever a manifest may have one.
func TestHostileTextReachesNoPicture(t *testing.T) {
	texts := maps.Clone(hostile)
	maps.Copy(texts, hostilePages)
	drawn := 0
	for mesh, manifest := range hostileMeshes {
		for name, text := range texts {
			t.Run(mesh+"/"+name, func(t *testing.T) {
				file := filepath.Join(t.TempDir(), "mesh.yaml")
				if err := os.WriteFile(file, []byte(manifest(yamlQuote(text))), 0o600); err != nil {
					t.Fatal(err)
				}
				for _, format := range pictures {
					r := runWith(t, join(), "-n", "shop", "-f", file, "-o", format, "--explain", "full", "-H", "x-text: "+strings.ReplaceAll(strings.Map(printable, text), "\n", ""), "reviews")
					if r.Code != exitTraced {
						return // that it ends so is told for text
					}
					drawn++
					if found := unprintable(r.Out); found != "" {
						t.Errorf("-o %s: %s", format, found)
					}
					if format == formatHTML {
						checkPage(t, r.Out)
					}
				}
			})
		}
	}
	if drawn == 0 {
		t.Error("nothing was drawn")
	}
}

// printable drops what no header may have.
func printable(c rune) rune {
	if c < ' ' || c == '\x7f' {
		return -1
	}
	return c
}

// TestScenariosDraw draws every scenario: none fails, and none has what its format would act on.
func TestScenariosDraw(t *testing.T) {
	t.Parallel()
	for _, s := range loadScenarios(t) {
		dir := t.TempDir()
		flags := s.write(t, dir, s.files)
		for _, request := range s.requests {
			for _, format := range pictures {
				r := runWith(t, join(), slices.Concat(flags, request, []string{"-o", format})...)
				if r.Code != exitTraced && r.Code != exitNotDelivered && r.Out != "" {
					t.Errorf("%s -o %s: exit code %d with output", s.path, format, r.Code)
				}
				if found := unprintable(r.Out); found != "" {
					t.Errorf("%s -o %s: %s", s.path, format, found)
				}
				if format == formatHTML && r.Out != "" {
					checkPage(t, r.Out)
				}
			}
		}
	}
}

// TestPagesShowNoSecrets has a password wherever manifests have them, beside and within what a trace cites.
func TestPagesShowNoSecrets(t *testing.T) {
	file := filepath.Join(t.TempDir(), "mesh.yaml")
	if err := os.WriteFile(file, []byte(`apiVersion: v1
kind: Secret
metadata: {name: shop-certificate, namespace: shop}
stringData: {password: hunter2}
---
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio-injection: enabled}, annotations: {example.com/password: hunter2}}
---
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Secret
  metadata: {name: other, namespace: shop}
  stringData: {password: hunter2}
- apiVersion: v1
  kind: Service
  metadata: {name: reviews, namespace: shop}
  spec: {selector: {app: reviews}, ports: [{name: http, port: 80}]}
- apiVersion: v1
  kind: Secret
  metadata: {name: another, namespace: shop}
  stringData: {password: hunter2}
---
{"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "third", "namespace": "shop"}, "stringData": {"a": "hunter2"}},
 {"apiVersion": "networking.istio.io/v1", "kind": "DestinationRule", "metadata": {"name": "reviews", "namespace": "shop"}, "spec": {"host": "reviews"}}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: reviews, namespace: shop}
spec: {selector: {matchLabels: {app: reviews}}, template: {metadata: {labels: {app: reviews}}, spec: {containers: [{name: a, image: a, env: [{name: PASSWORD, value: hunter2}]}]}}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, namespace: shop}
spec:
  hosts: [reviews]
  http:
  - route: [{destination: {host: reviews}}]
---
apiVersion: v1
kind: Secret
metadata: {name: last, namespace: shop}
stringData: {password: hunter2}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	r := runWith(t, join(), "-n", "shop", "-f", file, "-o", "html", "--explain", "full", "--jwt", "hunter2.hunter2.hunter2", "reviews")
	if r.Code == exitTraced {
		t.Fatal("that is no token")
	}
	r = runWith(t, join(), "-n", "shop", "-f", file, "-o", "html", "--explain", "full", "-H", "Authorization: Basic hunter2", "-H", "x-api-key: hunter2", "reviews")
	if r.Code != exitTraced || !strings.Contains(r.Out, "  - route: [{destination: {host: reviews}}]") || !strings.Contains(r.Out, "kind: Service") {
		t.Fatalf("exit code %d, and no excerpt: %s", r.Code, r.ErrOut)
	}
	if i := strings.Index(r.Out, "hunter2"); i >= 0 {
		t.Errorf("the page shows a secret: %s", r.Out[max(0, i-300):i+20])
	}
}

func TestCommandLine(t *testing.T) {
	for _, tc := range []struct {
		name string
		args []string
		want string
	}{
		{"as typed", []string{"-f", "a b", "-f", "c", "-n", "shop", "reviews/?a=1"}, "kubectl mesh-trace --filename 'a b' --filename c --namespace shop 'reviews/?a=1'"},
		{"a switch", []string{"--exit-code", "reviews"}, "kubectl mesh-trace --exit-code reviews"},
		{"a switch that is off", []string{"--exit-code=false", "reviews"}, "kubectl mesh-trace --exit-code=false reviews"},
		{"headers", []string{"-H", "x-user: ann", "-H", "Authorization: Basic eA==", "reviews"}, "kubectl mesh-trace --header 'x-user: ann' --header 'Authorization: …' reviews"},
		{"a token", []string{"--jwt", "a.b.c", "--token", "t", "reviews"}, "kubectl mesh-trace --jwt '…' --token '…' reviews"},
		{"a file with a token", []string{"--jwt", "@token", "reviews"}, "kubectl mesh-trace --jwt @token reviews"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			root := newRootCommand(genericiooptions.NewTestIOStreamsDiscard(), Build{}, Deps{})
			if err := root.ParseFlags(tc.args); err != nil {
				t.Fatal(err)
			}
			if got := commandLine(root.Flags(), root.Flags().Arg(0)); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}

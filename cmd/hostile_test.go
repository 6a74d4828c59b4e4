package cmd

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

// unprintable is the first character that a terminal would act on instead of showing it; empty where there is none.
// Line breaks are ours where a renderer puts them.
func unprintable(text string) string {
	i := strings.IndexFunc(text, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) })
	if i < 0 {
		return ""
	}
	return strconv.Quote(text[max(0, i-20):min(len(text), i+20)])
}

// TestScenariosPrintNoControlCharacters holds that whatever a scenario prints can be shown on a terminal.
func TestScenariosPrintNoControlCharacters(t *testing.T) {
	t.Parallel()
	for _, s := range loadScenarios(t) {
		dir := t.TempDir()
		flags := s.write(t, dir, s.files)
		for _, request := range s.requests {
			for _, output := range []string{"text", "wide", "json", "yaml", "kyaml", "name"} {
				args := append(slices.Clone(flags), append([]string{"-o", output, "--explain", "full"}, request...)...)
				r := runWith(t, join(), args...)
				if found := unprintable(r.Out + r.ErrOut); found != "" {
					t.Errorf("%s -o %s: %s", s.path, output, found)
				}
			}
		}
	}
}

// hostile are texts that would act on a terminal, or hide what they say.
var hostile = map[string]string{
	"escape sequence":    "\x1b[2J\x1b]0;owned\x07",
	"C1 controls":        "\u009b31m\u0090",
	"bidi override":      "a\u202egnp.exe\u2066",
	"zero width":         "re\u200bviews\ufeff",
	"line separators":    "one\ntwo\r\nthree\u2028four",
	"tab and delete":     "a\tb\x7f\x08",
	"very long":          strings.Repeat("long-", 2000),
	"tags":               "\U000e0041\U000e0042",
	"the end of a quote": `"}]} '; rm -rf $HOME`,
}

// hostileMeshes put a text where manifests are free in what they say: values that the trace
// shows, and places that only an error message quotes.
var hostileMeshes = map[string]func(quoted string) string{
	"values": func(q string) string {
		return `
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio-injection: enabled, ` + q + `: ` + q + `}, annotations: {` + q + `: ` + q + `}}
---
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: shop, labels: {` + q + `: ` + q + `}}
spec: {selector: {app: ` + q + `}, ports: [{name: http, port: 80}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: reviews, namespace: shop}
spec: {selector: {matchLabels: {app: ` + q + `}}, template: {metadata: {labels: {app: ` + q + `}}, spec: {serviceAccountName: ` + q + `}}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, namespace: shop}
spec:
  hosts: [reviews, ` + q + `]
  http:
  - name: ` + q + `
    match: [{headers: {` + q + `: {exact: ` + q + `}}}, {uri: {regex: ` + q + `}}]
    route: [{destination: {host: ` + q + `, subset: ` + q + `}}]
  - headers: {request: {set: {` + q + `: ` + q + `}}}
    route: [{destination: {host: reviews, subset: ` + q + `}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews, namespace: shop}
spec: {host: reviews, subsets: [{name: ` + q + `, labels: {version: ` + q + `}}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: reviews, namespace: shop}
spec: {rules: [{from: [{source: {principals: [` + q + `]}}], when: [{key: ` + q + `, values: [` + q + `]}]}]}
`
	},
	"a route to nowhere": func(q string) string {
		return `
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: shop}
spec: {ports: [{name: http, port: 80}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, namespace: shop}
spec: {hosts: [reviews], http: [{route: [{destination: {host: ` + q + `, subset: ` + q + `}}]}]}
`
	},
	"a redirect": func(q string) string {
		return `
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: shop}
spec: {ports: [{name: http, port: 80}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, namespace: shop}
spec: {hosts: [reviews], http: [{redirect: {uri: ` + q + `, authority: ` + q + `}}]}
`
	},
	"a name": func(q string) string {
		return "apiVersion: v1\nkind: Service\nmetadata: {name: " + q + ", namespace: " + q + "}\n"
	},
	"a kind":    func(q string) string { return "apiVersion: v1\nkind: " + q + "\nmetadata: {name: a}\n" },
	"a version": func(q string) string { return "apiVersion: " + q + "\nkind: Service\nmetadata: {name: a}\n" },
	"a field": func(q string) string {
		return "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {" + q + ": 1}\n"
	},
	"a wrong type": func(q string) string { return "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: " + q + "\n" },
	"an enum": func(q string) string {
		return "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {type: " + q + "}\n"
	},
	"a key twice": func(q string) string {
		return "apiVersion: v1\nkind: Service\nmetadata: {name: a, labels: {" + q + ": a, " + q + ": b}}\n"
	},
	"no manifest": func(q string) string { return q + "\n" },
	"an object of no known kind": func(q string) string {
		return "apiVersion: example.com/v1\nkind: " + q + "\nmetadata: {name: " + q + ", namespace: " + q + "}\n"
	},
	"a comment": func(q string) string { return "# " + strings.Trim(q, `"`) + "\napiVersion: v1\nkind: [\n" },
	"a mesh config": func(q string) string {
		return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: istio-system}\ndata: {mesh: " + strconv.Quote(q+": 1\ntrustDomain: "+q+"\n") + "}\n"
	},
}

// TestHostileTextReachesNoTerminal writes hostile texts wherever a manifest may have one: what
// is printed, on stdout as on stderr, shows them escaped.
func TestHostileTextReachesNoTerminal(t *testing.T) {
	for mesh, manifest := range hostileMeshes {
		for name, text := range hostile {
			for _, form := range []string{"escaped", "raw"} {
				t.Run(mesh+"/"+name+"/"+form, func(t *testing.T) {
					quoted := yamlQuote(text)
					if form == "raw" {
						quoted = "'" + strings.ReplaceAll(text, "'", "''") + "'"
					}
					file := filepath.Join(t.TempDir(), "mesh.yaml")
					if err := os.WriteFile(file, []byte(manifest(quoted)), 0o600); err != nil {
						t.Fatal(err)
					}
					for _, what := range []string{"reviews", "virtualservice/reviews", "service/reviews", "authorizationpolicy/reviews", "destinationrule/reviews"} {
						for _, output := range []string{"wide", "json", "yaml"} {
							r := runWith(t, join(), "explain", "-n", "shop", "-f", file, "-o", output, what)
							if found := unprintable(r.Out + r.ErrOut); found != "" {
								t.Errorf("explain %s -o %s: %s", what, output, found)
							}
						}
					}
					for _, output := range []string{"text", "wide", "json", "yaml", "kyaml"} {
						r := runWith(t, join(), "-n", "shop", "-f", file, "-o", output, "--explain", "full", "reviews")
						if found := unprintable(r.Out); found != "" {
							t.Errorf("-o %s: stdout has %s", output, found)
						}
						if found := unprintable(r.ErrOut); found != "" {
							t.Errorf("-o %s: stderr has %s", output, found)
						}
						if (r.Code == exitTraced) == (r.Out == "") {
							t.Errorf("-o %s: exit code %d with %d bytes on stdout: %s", output, r.Code, len(r.Out), r.ErrOut)
						}
						if r.Code != exitTraced {
							if len(r.ErrOut) > 20_000 {
								t.Errorf("the error has %d bytes", len(r.ErrOut))
							}
							break // the output has no part in an error
						}
					}
				})
			}
		}
	}
}

// TestHostileFlags has hostile texts on the command line and as names of files.
func TestHostileFlags(t *testing.T) {
	file := filepath.Join(t.TempDir(), "mesh.yaml")
	if err := os.WriteFile(file, []byte("apiVersion: v1\nkind: Service\nmetadata: {name: reviews}\nspec: {ports: [{port: 80}]}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, text := range hostile {
		for _, args := range [][]string{
			{"-f", file, text},
			{"-f", file, "reviews/" + text},
			{"-f", text, "reviews"},
			{"-k", text, "reviews"},
			{"-f", file, "--mesh-config", text, "reviews"},
			{"-f", file, "-H", "x: " + text, "reviews"},
			{"-f", file, "-H", text, "reviews"},
			{"-f", file, "--claim", text + "=" + text, "reviews"},
			{"-f", file, "--jwt", text, "reviews"},
			{"-f", file, "--jwt", "@" + text, "reviews"},
			{"-f", file, "--from", text, "reviews"},
			{"-f", file, "--gateway", text, "reviews"},
			{"-f", file, "-n", text, "reviews"},
			{"-f", file, "--revision", text, "reviews"},
			{"-f", file, "-o", text, "reviews"},
			{"--context", text, "reviews"},
			{"--kubeconfig", text, "reviews"},
			{"--server", text, "reviews"},
			{"--" + text},
		} {
			t.Run(name, func(t *testing.T) {
				r := runWith(t, join(), args...)
				if found := unprintable(r.Out); found != "" {
					t.Errorf("%q: stdout has %s", args, found)
				}
				if found := unprintable(r.ErrOut); found != "" {
					t.Errorf("%q: stderr has %s", args, found)
				}
			})
		}
	}
}

// yamlQuote writes a text in double quotes, as YAML reads it back.
func yamlQuote(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			b.WriteString(`\` + string(r))
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r > 0xffff:
			b.WriteString(`\U` + strconv.FormatInt(0x100000000+int64(r), 16)[1:])
		default:
			b.WriteString(`\u` + strconv.FormatInt(0x10000+int64(r), 16)[1:])
		}
	}
	return `"` + b.String() + `"`
}

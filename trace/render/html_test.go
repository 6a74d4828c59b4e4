package render

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// paged is the page of a fixture, with the fixtures' own reasons.
func paged(t testing.TB, tr *trace.Trace, opts PictureOptions) string {
	t.Helper()
	p := &page{renderer: newPicture(tr, opts), opts: opts, targets: map[*stop]string{}}
	p.reason = said
	out, err := p.write()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// excerpted has three lines around every field that located knows the file of.
func excerpted(r resolve.Ref, _ int) resolve.Excerpt {
	if r.Kind != "VirtualService" {
		return resolve.Excerpt{}
	}
	return resolve.Excerpt{File: "reviews.yaml", First: 9, Cited: 10, Lines: []string{"spec:", "  http: # " + r.Name, "  - {}"}}
}

var styleSum = regexp.MustCompile(`sha256-[\w/=]+(&#43;[\w/=]+)*`)

func TestHTMLGolden(t *testing.T) {
	for name, fixture := range fixtures() {
		t.Run(name, func(t *testing.T) {
			got := paged(t, fixture, PictureOptions{Locate: located, Excerpt: excerpted, Command: "kubectl mesh-trace reviews"})
			// The style has a file of its own.
			golden(t, name+".html", styleSum.ReplaceAllString(strings.Replace(got, pageStyle, "", 1), "sha256-…"))
		})
	}
}

// The policy names the one style that the page has, and html/template has left it as it is.
func TestHTMLPolicyAllowsItsStyle(t *testing.T) {
	got := paged(t, weightedFixture(), PictureOptions{})
	if !strings.Contains(got, "<style>"+pageStyle+"</style>") {
		t.Error("the style is not the one of the file")
	}
	if policy := `content="` + html.EscapeString(pagePolicy()) + `"`; !strings.Contains(got, policy) && !strings.Contains(got, strings.ReplaceAll(policy, "+", "&#43;")) {
		t.Errorf("no %s", policy)
	}
}

// Whatever a text says, the page has the elements and attributes of one that says nothing of the kind.
func TestHTMLTextStaysText(t *testing.T) {
	opts := PictureOptions{Locate: located, Excerpt: excerpted, Command: "kubectl mesh-trace reviews"}
	want := elements(t, paged(t, evilFixture("x"), opts))
	hostile := append(slices.Clone(acting),
		`"><script>alert(1)</script>`, `' onmouseover='alert(1)`, "javascript:alert(1)", "<!--", "-->", "]]>", "</style><script>x</script>", "</title>",
		"{{.}}", "<img src=x onerror=alert(1)>", "&lt;script&gt;", "\x00<b>", "url(//x)", "<svg/onload=x>", "`${x}`", "\xff<i>", "</pre></mark>")
	for _, text := range hostile {
		got := elements(t, paged(t, evilFixture(text), opts))
		if !slices.Equal(want, got) {
			t.Errorf("%q: the page has other elements:\n%s", text, firstOther(want, got))
		}
	}
}

// ownValues are those that the page makes itself, for attributes that name or lead.
var ownValues = regexp.MustCompile(`^(answer|verdict|outcomes|way|hops|unknown|repeat|#?hop-\d+(-name)?|#answer|[a-z -]*)$`)

// elements are the page's elements with their attributes, and where text stands.
func elements(t *testing.T, text string) []string {
	t.Helper()
	root, err := html.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for n := range root.Descendants() {
		switch n.Type {
		case html.ElementNode:
			element := n.Data
			for _, a := range n.Attr {
				value := a.Val
				if slices.Contains([]string{"id", "class", "href", "aria-labelledby"}, a.Key) && !ownValues.MatchString(value) {
					t.Errorf("%s has %s=%q", n.Data, a.Key, value)
				}
				element += fmt.Sprintf(" %s=%q", a.Key, value)
			}
			out = append(out, element)
		case html.CommentNode:
			out = append(out, "a comment")
		case html.TextNode, html.DocumentNode, html.DoctypeNode, html.ErrorNode, html.RawNode:
		}
	}
	return out
}

func firstOther(want, got []string) string {
	for i := range min(len(want), len(got)) {
		if want[i] != got[i] {
			return want[i] + "\n" + got[i]
		}
	}
	return fmt.Sprintf("%d and %d elements", len(want), len(got))
}

// Every link within the page has where it leads to, every id is there once, and headings skip no level.
func TestHTMLHangsTogether(t *testing.T) {
	for name, fixture := range fixtures() {
		root, err := html.Parse(strings.NewReader(paged(t, fixture, PictureOptions{Locate: located, Excerpt: excerpted})))
		if err != nil {
			t.Fatal(err)
		}
		ids := map[string]int{}
		var wanted []string
		level := 0
		for n := range root.Descendants() {
			if n.Type != html.ElementNode {
				continue
			}
			if h := strings.Index(" h1h2h3h4", n.Data); len(n.Data) == 2 && h > 0 {
				if next := h/2 + 1; next > level+1 {
					t.Errorf("%s: %s follows a heading of level %d", name, n.Data, level)
				} else {
					level = next
				}
			}
			for _, a := range n.Attr {
				switch a.Key {
				case "id":
					ids[a.Val]++
				case "href":
					wanted = append(wanted, strings.TrimPrefix(a.Val, "#"))
				case "aria-labelledby":
					wanted = append(wanted, a.Val)
				}
			}
		}
		for _, id := range wanted {
			if ids[id] != 1 {
				t.Errorf("%s: %d elements have the id %q", name, ids[id], id)
			}
		}
	}
}

func TestHTMLIsTheSameTwice(t *testing.T) {
	opts := PictureOptions{Locate: located, Excerpt: excerpted}
	first, err := HTML(nestedFixture(), opts)
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if again, err := HTML(nestedFixture(), opts); err != nil || !bytes.Equal(first, again) {
			t.Fatalf("another page (%v)", err)
		}
	}
}

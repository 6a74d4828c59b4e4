package load

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// asList is a List of the documents, with its dashes in a column.
func asList(column int, texts ...string) string {
	indent := strings.Repeat(" ", column)
	var b strings.Builder
	b.WriteString("apiVersion: v1\nitems:\n")
	for _, text := range texts {
		before := indent + "- "
		for line := range strings.Lines(text) {
			if strings.TrimSpace(line) == "" {
				b.WriteString(line)
				continue
			}
			b.WriteString(before + line)
			before = indent + "  "
		}
		if !strings.HasSuffix(text, "\n") {
			b.WriteString("\n")
		}
	}
	b.WriteString("kind: List\nmetadata:\n  resourceVersion: \"\"\n")
	return b.String()
}

// readLists reads a text with its lists cut, and whole; it reports how many items were read by themselves.
func readLists(text string) (cut, whole []string, items int) {
	docs := split(source{name: "list"}, text)
	lists := map[*cutList]bool{}
	for _, d := range docs {
		lists[d.list] = d.list != nil
	}
	read := func(docs []document, opts ManifestOptions) []string {
		opts.DefaultNamespace = "default"
		results, broken := readDocuments(docs, opts, "")
		if len(broken) > 0 {
			docs = rejoined(docs, broken)
			results, _ = readDocuments(docs, opts, "")
		}
		items = 0
		for _, d := range docs {
			if d.list != nil {
				items++
			}
		}
		r := reader{opts: opts}
		in := assemble(results, &r)
		if len(r.problems) == 0 {
			return everything(in, nil)
		}
		return everything(in, r.problems.sorted())
	}
	whole = read(rejoined(docs, lists), ManifestOptions{})
	cut = read(docs, ManifestOptions{Defer: true})
	return cut, whole, items
}

// TestListIsReadAsAWhole: an item that is read by itself gives what it gives in the list, in the same place.
func TestListIsReadAsAWhole(t *testing.T) {
	texts := manifestTexts(t)
	items := 0
	for i := 0; i+2 < len(texts); i += 3 {
		for _, column := range []int{0, 2} {
			text := asList(column, texts[i:i+3]...)
			cut, whole, n := readLists(text)
			if strings.Contains(text, "kind: Secret\n") {
				items += n
				continue // a list that is read whole with a Secret in it is located by the first lines of its resources alone
			}
			if diff := gocmp.Diff(whole, cut); diff != "" {
				t.Errorf("%s\n(-whole +cut):\n%s", text, diff)
			}
			items += n
		}
	}
	if items < len(texts) {
		t.Errorf("of %d documents only %d were read by themselves", len(texts), items)
	}
}

func TestListsThatAreCut(t *testing.T) {
	service := func(name string) string { return "apiVersion: v1\nkind: Service\nmetadata: {name: " + name + "}\n" }
	const list = "apiVersion: v1\nkind: List\n"
	json := `{"apiVersion": "v1", "items": [{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}},` + "\n" +
		`{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "b"}, "spec": {"prts": []}}], "kind": "List"}`
	for _, tc := range []struct {
		name, text string
		// items is how many are read by themselves.
		items int
	}{
		{"as kubectl writes them", asList(0, service("a"), service("b")), 2},
		{"deeper dashes", asList(4, service("a"), service("b")), 2},
		{"carriage returns", strings.ReplaceAll(asList(0, service("a"), service("b")), "\n", "\r\n"), 2},
		{"between documents", service("x") + "---\n" + asList(0, service("a")) + "---\n" + service("y"), 1},
		{"comments and empty lines", list + "# all\nitems: # of them\n\n# first\n- apiVersion: v1\n\n  kind: Service\n# name\n  metadata: {name: a}\n\n# second\n- {apiVersion: v1, kind: Pod, metadata: {name: p}}\n# end\n", 2},
		{"a typed list", "apiVersion: v1\nkind: ServiceList\nitems:\n- metadata: {name: a}\n- metadata: {name: b}\n", 2},
		{"dashes in a block scalar", list + "items:\n- apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: c}\n  data:\n    a: |\n     - x\n      - y\n- apiVersion: v1\n  kind: Service\n  metadata: {name: a}\n", 2},
		{"a dash alone on its line", list + "items:\n-\n  apiVersion: v1\n  kind: Service\n  metadata: {name: a}\n", 1},
		{"an item that is nothing", list + "items:\n-\n- {apiVersion: v1, kind: Service, metadata: {name: a}}\n", 2},
		{"an item with a mistake", asList(0, service("a")+"spec: {prts: []}\n", service("b")), 2},
		{"a list in a list", asList(0, asList(0, service("a")), service("b")), 2},
		{"the same twice", asList(0, service("a"), service("a")), 2},
		{"a quoted text that goes on below the dash", list + "items:\n- apiVersion: v1\n  kind: Service\n  metadata:\n    name: a\n    annotations: {a: \"x\n- y\"}\n- {apiVersion: v1, kind: Pod, metadata: {name: p}}\n", 0},
		{"a quoted text that goes on in the first column", list + "items:\n- apiVersion: v1\n  kind: Service\n  metadata:\n    name: a\n    annotations: {a: \"x\ny: y\"}\n- {apiVersion: v1, kind: Pod, metadata: {name: p}}\n", 0},
		{"an alias of another item", list + "items:\n- apiVersion: v1\n  kind: Service\n  metadata: &m {name: a}\n- apiVersion: v1\n  kind: Pod\n  metadata: *m\n", 0},
		{"an item that is no YAML", asList(0, service("a"), "a: b: c\n"), 0},
		{"items on one line", list + "items: [{apiVersion: v1, kind: Service, metadata: {name: a}}]\n", 0},
		{"items twice", list + "items:\n- {apiVersion: v1, kind: Service, metadata: {name: a}}\nitems:\n- {apiVersion: v1, kind: Service, metadata: {name: b}}\n", 0},
		{"items that are no list", list + "items:\n  a: b\n", 0},
		{"less deep than the dashes", list + "items:\n  - {apiVersion: v1, kind: Service, metadata: {name: a}}\n b: c\n", 0},
		{"another kind with items", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\nitems:\n- a\n- b\n", 0},
		{"no kind", "items:\n- {apiVersion: v1, kind: Service, metadata: {name: a}}\n", 0},
		{"JSON", json, 2},
		{"JSON, twice", json + "\n" + json, 4},
		{"JSON, a typed list", `{"kind": "ServiceList", "apiVersion": "v1", "items" : [ {"metadata": {"name": "a"}}, null ]}`, 2},
		{"JSON, items twice", `{"items": [1], "kind": "List", "apiVersion": "v1", "items": [{}]}`, 0},
		{"JSON, no list", `{"items": [1], "kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "c"}}`, 0},
		{"JSON, an empty list", `{"items": [], "kind": "List", "apiVersion": "v1"}`, 0},
		{"JSON, cut off", strings.TrimSuffix(json, "}"), 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cut, whole, items := readLists(tc.text)
			if diff := gocmp.Diff(whole, cut); diff != "" {
				t.Errorf("(-whole +cut):\n%s", diff)
			}
			if items != tc.items {
				t.Errorf("%d items were read by themselves, want %d", items, tc.items)
			}
		})
	}
}

// TestItemsAreDeferred: what runs in a namespace waits in a list as it does among documents.
func TestItemsAreDeferred(t *testing.T) {
	in, err := Manifests(ManifestOptions{Paths: []string{"-"}, Defer: true, Stdin: strings.NewReader(
		asList(0, "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: shop}\n", "apiVersion: v1\nkind: Service\nmetadata: {name: s, namespace: shop}\n"))})
	if err != nil {
		t.Fatal(err)
	}
	if got := names(in); !slices.Equal(got, []string{"Service shop/s"}) || in.Deferred == nil {
		t.Fatalf("read at once: %v", got)
	}
	pods := in.Deferred.In("shop", []schema.GroupKind{{Kind: "Pod"}})[0].Resources
	if len(pods) != 1 || pods[0].Origin.Locate("metadata.name") != "<stdin>:5" {
		t.Errorf("deferred: %v", fmt.Sprint(pods))
	}
}

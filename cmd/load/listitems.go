package load

import (
	"strings"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// What kubectl get writes is one document, a List of everything. It is cut into its items, which are then read in
// parallel, and deferred, as documents of their own are.
//
//  1. A document is cut if, without its items, it is a list: its kind ends in List.
//  2. In YAML the key items stands in the first column and has nothing behind it, and each item begins with a
//     dash in the column of the first one. What is in a block, a block scalar too, is deeper than that.
//  3. In JSON the items are the values of the array items (jsondocument.go).
//  4. Where an item turns out not to be readable by itself (a text in quotes went on in the column of the
//     dashes, or an alias is that of another item) its list is read whole.

// cutList is a document that was cut into its items.
type cutList struct {
	whole document
	// parent is what the items have as apiVersion and kind where they do not say it themselves.
	parent header
}

// listOf is the list that a document without its items is; nil if it is none.
func (d *document) listOf(withoutItems string) *cutList {
	outer := document{text: withoutItems, json: d.json}
	root, err := outer.parse(&blockReader{})
	if err != nil || root == nil {
		return nil
	}
	h := headerOf(root)
	if _, err := schema.ParseGroupVersion(h.apiVersion); err != nil || h.apiVersion == "" || !strings.HasSuffix(h.kind, "List") {
		return nil
	}
	keys := 0
	for i := 0; i < len(root.Content); i += 2 {
		if name, ok := keyText(root.Content[i]); ok && name == "items" {
			keys++
		}
	}
	if items, _ := child(root, "items"); keys != 1 || !isNull(items) {
		return nil
	}
	return &cutList{whole: *d, parent: itemHeader(h)}
}

// itemHeader is what a typed list says for its items.
func itemHeader(h header) header {
	if h.kind == "List" {
		return header{}
	}
	return header{apiVersion: h.apiVersion, kind: strings.TrimSuffix(h.kind, "List")}
}

// itemsYAML cuts a YAML document; ok is false where it is no list that can be cut.
func (d *document) itemsYAML() (items []document, ok bool) {
	start, line := belowItemsKey(d.text)
	if start < 0 {
		return nil, false
	}
	end, column := len(d.text), -1
	for at := start; at < end; line++ {
		next := len(d.text)
		if i := strings.IndexByte(d.text[at:], '\n'); i >= 0 {
			next = at + i + 1
		}
		indented := strings.TrimRight(d.text[at:next], " \r\n")
		content := strings.TrimLeft(indented, " ")
		depth := len(indented) - len(content)
		switch {
		case content == "" || content[0] == '#':
		case isEntry(content) && (column < 0 || depth == column):
			column = depth
			items = append(items, document{source: d.source, line: d.lineOf(line), text: d.text[at:]})
		case column < 0:
			return nil, false
		case depth <= column:
			end = at
			continue
		}
		at = next
	}
	if len(items) == 0 {
		return nil, false
	}
	list := d.listOf(d.text[:len(d.text)-len(items[0].text)] + d.text[end:])
	for i := range items {
		stop := end - (len(d.text) - len(items[i].text))
		if i+1 < len(items) {
			stop = len(items[i].text) - len(items[i+1].text)
		}
		items[i].text, items[i].list = items[i].text[:stop], list
	}
	return items, list != nil
}

// belowItemsKey is where the line after the key items begins, and its number; -1 where there is no such line.
func belowItemsKey(text string) (at, line int) {
	const key = "items:"
	at = -1
	if strings.HasPrefix(text, key) {
		at = 0
	} else if i := strings.Index(text, "\n"+key); i >= 0 {
		at = i + 1
	}
	if at < 0 {
		return -1, 0
	}
	length := strings.IndexByte(text[at:], '\n') + 1
	if length == 0 || !nothing(strings.TrimRight(text[at+len(key):at+length], "\r\n")) {
		return -1, 0
	}
	return at + length, strings.Count(text[:at+length], "\n") + 1
}

// onlyItem is the item of a list that is cut out of it with its dash.
func onlyItem(root *yaml.Node) (*yaml.Node, error) {
	if root == nil || root.Kind != yaml.SequenceNode || len(root.Content) != 1 {
		return nil, syntaxError{line: 1, message: "malformed YAML: not one item of a list"}
	}
	return follow(root.Content[0]), nil
}

// rejoined are the documents with some lists whole again.
func rejoined(docs []document, broken map[*cutList]bool) []document {
	var out []document
	whole := map[*cutList]bool{}
	for _, d := range docs {
		switch {
		case !broken[d.list]:
			out = append(out, d)
		case !whole[d.list]:
			whole[d.list] = true
			out = append(out, d.list.whole)
		}
	}
	return out
}

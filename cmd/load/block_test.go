package load

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/mesh-trace/kubectl-mesh-trace/testdata/bigmesh"
)

// sameAsLibrary holds that a text that is read here gives the nodes that the library gives, and reports whether it is.
func sameAsLibrary(t *testing.T, b *blockReader, text string) bool {
	t.Helper()
	got, ok := b.read(text)
	if !ok {
		return false
	}
	want, err := parseYAML(text)
	if err != nil {
		t.Errorf("the library refuses it: %v\n%s", err, text)
		return true
	}
	if diff := nodeDiff(want, got, "$"); diff != "" {
		t.Errorf("%s\n%q", diff, text)
	}
	return true
}

// nodeDiff says where two trees differ in what a manifest's decoder can see.
func nodeDiff(want, got *yaml.Node, at string) string {
	if want == nil || got == nil {
		return fmt.Sprintf("%s: want %v, got %v", at, want, got)
	}
	seen := func(n *yaml.Node) string {
		return fmt.Sprintf("kind %d style %d tag %s (%s) anchor %q line %d value %q of %d", n.Kind, n.Style, n.Tag, n.ShortTag(), n.Anchor, n.Line, n.Value, len(n.Content))
	}
	if a, b := seen(want), seen(got); a != b {
		return fmt.Sprintf("%s:\nwant %s\ngot  %s", at, a, b)
	}
	for i := range want.Content {
		if diff := nodeDiff(want.Content[i], got.Content[i], fmt.Sprintf("%s[%d]", at, i)); diff != "" {
			return diff
		}
	}
	return ""
}

// manifestTexts are the documents of all scenarios, of Istio's samples and of a generated mesh.
func manifestTexts(t testing.TB) []string {
	t.Helper()
	out, err := exec.Command("go", "-C", "../../testdata/conformance", "list", "-m", "-f", "{{.Dir}}", "istio.io/istio").Output()
	if err != nil {
		t.Fatalf("where is istio.io/istio: %v", err)
	}
	var texts []string
	for _, root := range []string{"../../testdata/scenarios", filepath.Join(strings.TrimSpace(string(out)), "samples")} {
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.Contains(".txtar.yaml.yml", filepath.Ext(path)) || filepath.Ext(path) == "" {
				return err
			}
			data, err := os.ReadFile(path)
			for part := range strings.SplitSeq(string(data), "\n-- ") { // the files of a txtar
				if _, content, ok := strings.Cut(part, " --\n"); ok {
					part = content
				}
				for _, d := range split(source{}, part) {
					texts = append(texts, d.text)
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	var mesh strings.Builder
	if _, err := bigmesh.Of(4).WriteTo(&mesh); err != nil {
		t.Fatal(err)
	}
	for _, d := range split(source{}, mesh.String()) {
		texts = append(texts, d.text)
	}
	return texts
}

func TestBlocksAreReadAsTheLibraryReadsThem(t *testing.T) {
	var b blockReader
	texts, read := manifestTexts(t), 0
	for _, text := range texts {
		if sameAsLibrary(t, &b, text) {
			read++
		}
	}
	t.Logf("%d of %d documents are read without the library", read, len(texts))
	if read < len(texts)/4 {
		t.Errorf("only %d of %d documents are read without the library", read, len(texts))
	}
}

func TestGeneratedMeshNeedsNoLibrary(t *testing.T) {
	var mesh strings.Builder
	if _, err := bigmesh.Of(40).WriteTo(&mesh); err != nil {
		t.Fatal(err)
	}
	var b blockReader
	for _, d := range split(source{}, mesh.String()) {
		if !sameAsLibrary(t, &b, d.text) {
			t.Errorf("not read:\n%s", d.text)
		}
	}
}

// TestDamagedBlocks damages documents at random places: what is then still read here must be what the library reads.
func TestDamagedBlocks(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	texts := manifestTexts(t)
	rounds := 30_000
	if testing.Short() {
		rounds = 3_000
	}
	var b blockReader
	read := 0
	for range rounds {
		text := texts[random.IntN(len(texts))]
		for range 1 + random.IntN(3) {
			text = damaged(random, text)
		}
		if sameAsLibrary(t, &b, text) {
			read++
		}
		if t.Failed() {
			return
		}
	}
	t.Logf("%d of %d damaged documents are read without the library", read, rounds)
}

// pieces are what YAML is made of.
var pieces = []string{
	" ", "  ", "\n", "\n\n", "\n  ", "\n- ", "- ", "-", ":", ": ", ":\n", "#", " #", " # a", "'", "''", `"`, "|", "|-", "|+\n", ">", "{}", "[]", "{", "]", "~",
	"null", "yes", "0", "007", "1e3", "0x1", "1.5", "-1", ".5", "2026-01-01", "<<", "=", "&a", "*a", "!t", "%", "@", "`", "?", "? ", ",", "a: b", "\n---\n", "\n...\n", "\t", "\r", "é", "\\", "a", "a:\n",
}

func damaged(random *rand.Rand, text string) string {
	at := random.IntN(len(text) + 1)
	switch end := min(len(text), at+random.IntN(6)); random.IntN(3) {
	case 0:
		return text[:at] + text[end:]
	case 1:
		return text[:at] + pieces[random.IntN(len(pieces))] + text[end:]
	default:
		return text[:at] + pieces[random.IntN(len(pieces))] + text[at:]
	}
}

// FuzzBlocks looks for a text that is read here otherwise than by the library.
func FuzzBlocks(f *testing.F) {
	for _, seed := range []string{
		"a: b\n", "a:\n- b\n-\n- c: d\n  e:\n", "- - a\n  - b\n", "a: |\n  b\n   c\n\n", "a: |-\n  b\nc: 'd''e' # f\n", "a:\n  b: \"c\"\n\n# d\ne: {}\nf: []",
		"a:\n# b\n\nc: ~\n", "- a: |+\n    b\n\n\n- c\n", "'a': -1\n\"b\": 1.5\n", "a: b: c\n", "a: b\n c\n", "a:\n    b: c\n  d: e\n", "- a\nb: c\n",
	} {
		f.Add(seed)
	}
	var b blockReader
	f.Fuzz(func(t *testing.T, text string) { sameAsLibrary(t, &b, text) })
}

package snapshot

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// TestDocsListWhatIsRead holds the page to the annotations and variables that are written.
func TestDocsListWhatIsRead(t *testing.T) {
	page, err := os.ReadFile("../../docs/snapshot.md")
	if err != nil {
		t.Error(err)
	}
	for name, list := range map[string][]string{"annotations": readAnnotations, "variables": readVariables} {
		list = slices.Sorted(slices.Values(list))
		want := "`" + strings.Join(list, "`, `") + "`"
		t.Logf("%s: %s", name, want)
		if !strings.Contains(string(page), strings.ToUpper(name[:1])+name[1:]+" that are read: "+want+".\n") {
			t.Errorf("docs/snapshot.md has another list of %s; it is %s", name, want)
		}
	}
}

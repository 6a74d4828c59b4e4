package render

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
)

var _ runtime.Object = &Document{}

// TestPrinters prints the document through each of kubectl's printers.
func TestPrinters(t *testing.T) {
	for _, tc := range []struct{ format, want string }{
		{"name", "trace.meshtrace.dev/reviews.shop-9080\n"},
		{"jsonpath={.outcomes[*].weight}", "80 20"},
		{"jsonpath={.outcomes[0].forwarded.path}", ""},
		{"go-template={{(index .outcomes 1).destination.subset}}", "v2"},
		{"json", `"envoyCluster": "outbound|9080|v2|reviews.shop.svc.cluster.local"`},
		{"yaml", "envoyCluster: outbound|9080|v2|reviews.shop.svc.cluster.local"},
		{"kyaml", `envoyCluster: "outbound|9080|v2|reviews.shop.svc.cluster.local"`},
	} {
		t.Run(tc.format, func(t *testing.T) {
			flags := genericclioptions.NewPrintFlags("")
			flags.OutputFormat = &tc.format
			flags.OutputFlagSpecified = func() bool { return true }
			printer, err := flags.ToPrinter()
			if err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			if err := printer.PrintObj(NewDocument(weightedFixture(), located), &out); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(out.String(), tc.want) {
				t.Errorf("%s lacks %q", out.String(), tc.want)
			}
		})
	}
	if _, err := meta.Accessor(&Document{}); err != nil {
		t.Error(err)
	}
}

// TestDeepCopy holds that a copy is equal and shares no memory that could be written.
func TestDeepCopy(t *testing.T) {
	for name, fixture := range fixtures() {
		d := NewDocument(fixture, located)
		got := d.DeepCopyObject().(*Document)
		if diff := cmp.Diff(d, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		shared(t, name, reflect.ValueOf(d).Elem(), reflect.ValueOf(got).Elem())
	}
	if (*Document)(nil).DeepCopyObject() != nil {
		t.Error("a copy of nothing is nothing")
	}
}

// shared fails for each slice, map or pointer that two values have in common.
func shared(t *testing.T, path string, a, b reflect.Value) {
	t.Helper()
	switch a.Kind() {
	case reflect.Struct:
		for i := range a.NumField() {
			if a.Type().Field(i).IsExported() {
				shared(t, path+"."+a.Type().Field(i).Name, a.Field(i), b.Field(i))
			}
		}
	case reflect.Slice:
		if a.Len() > 0 && a.Pointer() == b.Pointer() {
			t.Errorf("%s is shared", path)
		}
		for i := range a.Len() {
			shared(t, path, a.Index(i), b.Index(i))
		}
	case reflect.Map:
		if a.Len() > 0 && a.Pointer() == b.Pointer() {
			t.Errorf("%s is shared", path)
		}
	case reflect.Pointer:
		if !a.IsNil() {
			if a.Pointer() == b.Pointer() {
				t.Errorf("%s is shared", path)
			}
			shared(t, path, a.Elem(), b.Elem())
		}
	default:
	}
}

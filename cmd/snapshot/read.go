package snapshot

import (
	_ "embed"
	"reflect"
	"strings"
	"sync"
)

// What of an object is written is what a trace reads: read.txt has, for each type of the Kubernetes, Istio and Gateway API
// libraries, the fields and methods that the code of resolve and trace selects. A test derives it from their types, so
// that a field which is read is never left out, and one that is not read never gets in.
//
//go:embed read.txt
var readText string

// isAPI reports whether types of the package are those of objects.
func isAPI(path string) bool {
	for _, prefix := range []string{"k8s.io/api/", "k8s.io/apimachinery/pkg/apis/", "istio.io/api/", "istio.io/client-go/", "sigs.k8s.io/gateway-api"} {
		if strings.HasPrefix(path, prefix) {
			return true
		}
	}
	return false
}

// everyType stands for the methods that are read through an interface.
const everyType = "*"

var readFields = sync.OnceValue(func() map[string]map[string]bool {
	out := map[string]map[string]bool{}
	for line := range strings.Lines(readText) {
		words := strings.Fields(line)
		fields := map[string]bool{}
		for _, word := range words[1:] {
			fields[word] = true
		}
		out[words[0]] = fields
	}
	return out
})

// reads reports whether a trace reads the field of that name in Go, itself or by its getter.
func reads(t reflect.Type, field string) bool {
	of := readFields()[t.PkgPath()+"."+t.Name()]
	return of[field] || of["Get"+field] || readFields()[everyType]["Get"+field]
}

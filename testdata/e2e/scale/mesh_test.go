package scale

import (
	"strings"
	"testing"
)

func TestTheSameSizeGivesTheSameMesh(t *testing.T) {
	first, second := written(t, Mesh{Services: 50, Pods: 100}), written(t, Mesh{Services: 50, Pods: 100})
	if first != second {
		t.Error("two meshes of one size differ")
	}
	if other := written(t, Mesh{Services: 50, Pods: 150}); first == other {
		t.Error("a mesh of another size is the same")
	}
}

func written(t *testing.T, m Mesh) string {
	t.Helper()
	objects, err := m.Objects()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for o := range objects {
		b.WriteString(o.JSON)
	}
	return b.String()
}

func TestMeshHasAsManyServicesAndPodsAsAskedFor(t *testing.T) {
	objects, err := Mesh{Services: 60, Pods: 300}.Objects()
	if err != nil {
		t.Fatal(err)
	}
	counts, pods := map[string]int{}, 0
	for o := range objects {
		counts[o.Kind]++
		if _, err := encode(o); err != nil {
			t.Errorf("%s %s/%s is not what an API server stores: %v", o.Kind, o.Namespace, o.Name, err)
		}
		if strings.Contains(o.JSON, "$") && !strings.Contains(o.JSON, "$(POD_NAMESPACE)") && o.Kind != "VirtualService" {
			t.Errorf("%s %s/%s has a variable left", o.Kind, o.Namespace, o.Name)
		}
		if o.Kind == "Pod" {
			pods += len(o.JSON)
		}
	}
	if counts["Pod"] != 300 || counts["EndpointSlice"] != 60 || counts["Service"] != 61 { // with that of the gateway
		t.Errorf("pods, slices, services: %d, %d, %d", counts["Pod"], counts["EndpointSlice"], counts["Service"])
	}
	if size := pods / counts["Pod"]; size < 12_000 || size > 18_000 {
		t.Errorf("a pod has %d bytes, and one with a sidecar some 15,000", size)
	}
}

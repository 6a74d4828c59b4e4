package load

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/client-go/kubernetes/scheme"
)

// services are asked for in the tests of this file.
var services = listQuery{servedKind: servedKind{
	kind: kind{kind: "Service", versions: []string{"v1"}, new: func() resolve.Object { return &corev1.Service{} }}, version: "v1", plural: "services",
}}

func encoded(t testing.TB, list runtime.Object) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := protobuf.NewSerializer(scheme.Scheme, scheme.Scheme).Encode(list, &b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// writtenServices is a list with all that a trace does not read.
func writtenServices() *corev1.ServiceList {
	return &corev1.ServiceList{
		ListMeta: metav1.ListMeta{Continue: "further", ResourceVersion: "7"},
		Items: []corev1.Service{
			{
				ObjectMeta: metav1.ObjectMeta{
					Namespace: "shop", Name: "reviews", Labels: map[string]string{"app": "reviews"},
					ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "a", FieldsV1: metav1.NewFieldsV1(`{"f:spec":{}}`)}, {Manager: "b"}},
				},
				Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "http", Port: 9080}}, Selector: map[string]string{"app": "reviews"}},
			},
			{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "ratings", UID: "u"}},
		},
	}
}

// TestProtobufIsDecodedWithoutManagedFields: nothing else of an object is lost.
func TestProtobufIsDecodedWithoutManagedFields(t *testing.T) {
	list := writtenServices()
	got, err := pageOfProtobuf(services, encoded(t, list))
	if err != nil {
		t.Fatal(err)
	}
	if got.next != "further" || len(got.unreadable) > 0 || len(got.objects) != 2 {
		t.Fatalf("page %+v", got)
	}
	for i := range list.Items {
		want := &list.Items[i]
		want.ManagedFields = nil
		want.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Service"))
		if diff := cmp.Diff(want, got.objects[i]); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

// TestProtobufObjectThatIsBrokenIsAGap: it does not hide the others.
func TestProtobufObjectThatIsBrokenIsAGap(t *testing.T) {
	list := writtenServices()
	body := encoded(t, list)
	// The name of the label becomes a field of a length that the object does not have.
	at := bytes.Index(body, []byte("reviews\x12"))
	if at < 0 {
		t.Fatal("the name is not in the encoding")
	}
	body[at-1] = 0x7f
	got, err := pageOfProtobuf(services, body)
	if err != nil || len(got.objects) != 1 || len(got.unreadable) != 1 {
		t.Errorf("objects %v, unreadable %v, error %v, want one object of each sort", got.objects, got.unreadable, err)
	}
}

// FuzzPageOfProtobuf holds that no answer of a server makes the loader panic.
func FuzzPageOfProtobuf(f *testing.F) {
	f.Add(encoded(f, writtenServices()))
	f.Add([]byte("k8s\x00\x12\x02\x12\x00"))
	f.Add([]byte(`{"kind":"ServiceList"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := pageOfProtobuf(services, body)
		if err != nil {
			return
		}
		for _, o := range got.objects {
			if len(o.GetManagedFields()) > 0 {
				t.Errorf("managed fields of %s are left", o.GetName())
			}
		}
	})
}

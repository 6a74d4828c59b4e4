package evaluator

import (
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"sigs.k8s.io/yaml"
)

// The comments of the tests cite pages of Envoy's documentation; docs stands for
// https://www.envoyproxy.io/docs/envoy/latest/ there.

// xds reads a resource that is written as Envoy's documentation writes it.
func xds[M proto.Message](t *testing.T, text string, into M) M {
	t.Helper()
	j, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := protojson.Unmarshal(j, into); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return into
}

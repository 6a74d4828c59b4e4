package conformance

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	networking "istio.io/api/networking/v1alpha3"
	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pkg/config/schema/gvk"
	"sigs.k8s.io/yaml"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/pilot"
)

// What istiod makes of Gateway API objects, held against what the tracer makes of them: the Gateways, VirtualServices
// and DestinationRules under their internal names, with every field but cipherSuites, which are nothing to a request. The order of
// portLevelSettings is not compared: istiod takes it from a map.

// conversion is empty where both parties make the same; else both forms of each resource that differs.
func conversion(s *resolve.Snapshot, w *pilot.World) string {
	pilots, ours := map[string]string{}, map[string]string{}
	for _, c := range w.Converted() {
		services := ""
		if c.GroupVersionKind == gvk.Gateway {
			services = "services " + c.Annotations[model.InternalGatewayServiceAnnotation] + "\n"
		}
		pilots[fmt.Sprintf("%s %s/%s", c.GroupVersionKind.Kind, c.Namespace, c.Name)] += services + text(comparedPart(c.Spec.(proto.Message)))
	}
	for _, c := range s.Converted() {
		services := ""
		if c.Kind == "Gateway" {
			services = "services " + strings.Join(c.Services, ",") + "\n"
		}
		ours[fmt.Sprintf("%s %s/%s", c.Kind, c.Namespace, c.Name)] += services + text(comparedPart(c.Spec))
	}
	var out strings.Builder
	names := map[string]bool{}
	for _, party := range []map[string]string{pilots, ours} {
		for name := range party {
			names[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if diff := difference(lines(pilots[name]), lines(ours[name])); diff != "" {
			out.WriteString(name + "\n" + diff)
		}
	}
	return out.String()
}

// comparedPart is a resource without what is not compared.
func comparedPart(spec proto.Message) proto.Message {
	spec = proto.Clone(spec)
	switch x := spec.(type) {
	case *networking.Gateway:
		for _, server := range x.GetServers() {
			if server.GetTls() != nil {
				server.Tls.CipherSuites = nil
			}
		}
	case *networking.DestinationRule:
		slices.SortFunc(x.GetTrafficPolicy().GetPortLevelSettings(), func(a, b *networking.TrafficPolicy_PortTrafficPolicy) int {
			return cmp.Compare(a.GetPort().GetNumber(), b.GetPort().GetNumber())
		})
	}
	return spec
}

func lines(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}

// text is a resource as YAML: protobuf's own text form changes from build to build.
func text(m proto.Message) string {
	j, err := protojson.MarshalOptions{EmitDefaultValues: false}.Marshal(m)
	if err != nil {
		return err.Error()
	}
	y, err := yaml.JSONToYAML(j)
	if err != nil {
		return err.Error()
	}
	return string(y)
}

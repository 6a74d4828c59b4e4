package conformance

import (
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

// What istiod makes of Gateway API objects, held against what the tracer makes of them: the Gateways and VirtualServices
// under their internal names, with every field but cipherSuites, which are nothing to a request. DestinationRules are not compared: of those only BackendTLSPolicies make any.

// conversion is empty where both parties make the same; else both forms of each resource that differs.
func conversion(s *resolve.Snapshot, w *pilot.World) string {
	pilots, ours := map[string]string{}, map[string]string{}
	for _, c := range w.Converted() {
		if c.GroupVersionKind == gvk.DestinationRule {
			continue
		}
		services := ""
		spec := proto.Clone(c.Spec.(proto.Message))
		if gw, ok := spec.(*networking.Gateway); ok {
			services = "services " + c.Annotations[model.InternalGatewayServiceAnnotation] + "\n"
			for _, server := range gw.GetServers() {
				if server.GetTls() != nil {
					server.Tls.CipherSuites = nil
				}
			}
		}
		pilots[fmt.Sprintf("%s %s/%s", c.GroupVersionKind.Kind, c.Namespace, c.Name)] += services + text(spec)
	}
	for _, c := range s.Converted() {
		services := ""
		if c.Kind == "Gateway" {
			services = "services " + strings.Join(c.Services, ",") + "\n"
		}
		ours[fmt.Sprintf("%s %s/%s", c.Kind, c.Namespace, c.Name)] += services + text(c.Spec)
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

package admission

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	networking "istio.io/client-go/pkg/apis/networking/v1"
	security "istio.io/client-go/pkg/apis/security/v1"
	"sigs.k8s.io/yaml"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// What Istio's own validation says of these and of many more is asked in testdata/conformance.
func TestRefusals(t *testing.T) {
	kinds := map[string]func() resolve.Object{
		"Gateway":               func() resolve.Object { return &networking.Gateway{} },
		"VirtualService":        func() resolve.Object { return &networking.VirtualService{} },
		"DestinationRule":       func() resolve.Object { return &networking.DestinationRule{} },
		"ServiceEntry":          func() resolve.Object { return &networking.ServiceEntry{} },
		"Sidecar":               func() resolve.Object { return &networking.Sidecar{} },
		"AuthorizationPolicy":   func() resolve.Object { return &security.AuthorizationPolicy{} },
		"RequestAuthentication": func() resolve.Object { return &security.RequestAuthentication{} },
		"PeerAuthentication":    func() resolve.Object { return &security.PeerAuthentication{} },
	}
	for _, test := range []struct {
		kind, spec string
		want       []string
	}{
		{"Sidecar", "{egress: [{}]}", nil},
		{"VirtualService", "{hosts: [a], http: [{route: [{destination: {host: a}}]}]}", nil},
		{"VirtualService", "{hosts: [a], http: [{}]}", []string{"spec.http[0].route: HTTP route, redirect or direct_response is required"}},
		{"VirtualService", "{hosts: ['*'], http: [{route: [{destination: {host: a}}]}]}", []string{"spec.hosts[0]: wildcard host * is not allowed for virtual services bound to the mesh gateway"}},
		{"VirtualService", "{hosts: [a.com, '*.com'], http: [{route: [{destination: {host: a}}]}]}", []string{"spec.hosts[1]: duplicate hosts in virtual service: a.com & *.com"}},
		{"VirtualService", "{gateways: [g], http: [{route: [{destination: {host: a}}]}]}", []string{"spec.gateways: delegate virtual service must have no gateways specified"}},
		{"VirtualService", "{hosts: [a], http: [{match: [{uri: {regex: '('}}], route: [{destination: {host: '*'}}]}]}", []string{
			"spec.http[0].match[0].uri: \"uri\": error parsing regexp: missing closing ): `(`; Istio uses RE2 style regex-based match (https://github.com/google/re2/wiki/Syntax)",
			"spec.http[0].route[0].destination.host: invalid destination host *",
		}},
		{"VirtualService", "{hosts: [a], http: [{timeout: 0s, retries: {perTryTimeout: 1s}, route: [{destination: {host: a, subset: v_1}}]}]}", []string{
			"spec.http[0].retries.attempts: http retry policy configured when attempts are set to 0 (disabled)",
			"spec.http[0].route[0].destination.subset: subset name is invalid: v_1",
			"spec.http[0].timeout: duration must be greater than 1ms",
		}},
		{"VirtualService", "{hosts: [a.com], tls: [{match: [{sniHosts: [b.com]}], route: [{destination: {host: a}}]}]}", []string{
			`spec.tls[0].match[0].sniHosts[0]: SNI host "b.com" is not a compatible subset of any of the virtual service hosts: [a.com]`,
		}},
		{"Gateway", "{servers: [{hosts: [shop], port: {number: 443, name: https, protocol: HTTPS}}]}", []string{
			"spec.servers[0].hosts[0]: short names (non FQDN) are not allowed",
			"spec.servers[0].tls: server must have TLS settings for HTTPS/TLS protocols",
		}},
		{"Gateway", "{servers: [{hosts: ['*'], port: {number: 443, name: https, protocol: HTTPS}, tls: {mode: MUTUAL}}]}", []string{
			"spec.servers[0].tls.caCertificates: MUTUAL TLS requires a client CA bundle",
			"spec.servers[0].tls.serverCertificate: MUTUAL TLS requires a server certificate",
			"spec.servers[0].tls.privateKey: MUTUAL TLS requires a private key",
		}},
		{"DestinationRule", "{host: a, trafficPolicy: {}, exportTo: ['.', shop]}", []string{
			"spec.trafficPolicy: traffic policy must have at least one field",
			"spec.exportTo[1]: duplicate entries in exportTo for entry shop",
		}},
		{"DestinationRule", "{host: a, subsets: [{name: v1}, {name: v1}], trafficPolicy: {tls: {mode: MUTUAL, privateKey: k}}}", []string{
			"spec.trafficPolicy.tls.clientCertificate: client certificate required for mutual tls",
			"spec.subsets[1].name: duplicate subset names: v1",
		}},
		{"ServiceEntry", "{hosts: ['*.a.com'], resolution: DNS, ports: [{number: 80, name: http}, {number: 80, name: http}]}", []string{
			`spec.ports[1].name: service entry port name "http" already defined`,
			"spec.ports[1].number: service entry port 80 already defined",
			`spec.hosts[0]: hosts must be FQDN or contain only prefix wildcards if no endpoints are provided for resolution mode DNS, domain name "*.a.com" invalid (label "*" invalid)`,
		}},
		{"ServiceEntry", "{hosts: [a.com], resolution: STATIC, ports: [{number: 80, name: http}], endpoints: [{address: b.com, ports: {tcp: 1}}]}", []string{
			`spec.endpoints[0].address: endpoint address "b.com" is not a valid IP address`,
			"spec.endpoints[0].ports[tcp]: endpoint port 1 is not defined by the service entry",
		}},
		{"AuthorizationPolicy", "{action: DENY}", []string{"spec.rules: DENY action without `rules` is meaningless as it will never be triggered, add an empty rule `{}` if you want it be triggered for every request"}},
		{"AuthorizationPolicy", "{rules: [{from: [{source: {}}], to: [{operation: {ports: [http]}}], when: [{key: source.ip, values: [a]}, {key: x}]}]}", []string{
			"spec.rules[0].from[0].source: `from.source` must not be empty, found at rule 0",
			"spec.rules[0].to[0].operation.ports[0]: bad port (http)",
			"spec.rules[0].when[0].values: invalid `value` for `key` source.ip: bad IP address (a)",
			"spec.rules[0].when[1]: at least one of `values` or `notValues` must be set for key x",
		}},
		{"RequestAuthentication", "{selector: {matchLabels: {a: '*'}}, jwtRules: [{}]}", []string{
			`spec.selector.matchLabels: wildcard is not supported in selector: "a=*"`,
			"spec.jwtRules[0].issuer: issuer or jwksUri must be non-empty string",
		}},
		{"PeerAuthentication", "{portLevelMtls: {80: {mode: STRICT}}}", []string{"spec.portLevelMtls: mesh/namespace peer authentication cannot have port level mTLS"}},
	} {
		t.Run(test.kind+" "+test.spec, func(t *testing.T) {
			object := kinds[test.kind]()
			if err := yaml.Unmarshal([]byte("metadata: {name: o, namespace: shop}\nspec: "+test.spec), object); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, r := range Refusals(object) {
				got = append(got, fmt.Sprintf("%s: %s", r.Field, r.Message))
			}
			slices.Sort(got)
			slices.Sort(test.want)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

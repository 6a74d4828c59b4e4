package resolve

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

const meshedPod = `---
apiVersion: v1
kind: Pod
metadata: {name: meshed, namespace: shop, labels: {app: reviews, security.istio.io/tlsMode: istio}}
spec: {serviceAccountName: reviews, containers: [{name: app}, {name: istio-proxy, args: [proxy, sidecar]}]}
status: {podIP: 10.0.0.1, conditions: [{type: Ready, status: "True"}]}
`

const barePod = `---
apiVersion: v1
kind: Pod
metadata: {name: bare, namespace: shop, labels: {app: reviews}}
spec: {containers: [{name: app}]}
status: {podIP: 10.0.0.2, conditions: [{type: Ready, status: "True"}]}
`

func peerAuthentication(namespace, name, spec string) string {
	return "---\napiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: " + name + ", namespace: " + namespace + "}\nspec: " + spec + "\n"
}

// selecting is the service with a selector and a target port.
func selecting(svc *Service) *Service {
	svc.Selector = map[string]string{"app": "reviews"}
	svc.Ports[0].TargetPort = 8000
	return svc
}

// TestClientTLS follows routing 6.5 and security A4, and the outcomes of routing C.3.
func TestClientTLS(t *testing.T) {
	headless := selecting(reviewsIn("shop"))
	headless.Resolution = Passthrough
	const sni = "outbound_.80_._.reviews.shop.svc.cluster.local"
	both := meshedPod + barePod
	tls := func(block string) string { return dr("shop", "r", `{host: reviews, trafficPolicy: {tls: `+block+`}}`) }
	portLevel := func(mode string) string {
		return dr("shop", "r", `{host: reviews, trafficPolicy: {tls: {mode: `+mode+`}, portLevelSettings: [{port: {number: 80}, loadBalancer: {simple: RANDOM}}]}}`)
	}
	type answer struct {
		Mode ClientTLSMode
		SNI  string
		Step string
	}
	mtls := func(step string) answer { return answer{ClientMTLS, sni, step} }
	plain := func(step string) answer { return answer{ClientPlaintext, "", step} }
	tests := []struct {
		name         string
		manifests    string
		svc          *Service
		client       *Workload
		subset       string
		meshed, bare answer
	}{
		{
			name: "auto", manifests: both,
			meshed: mtls("applied clienttls/auto-mtls Pod shop/meshed"), bare: plain("applied clienttls/endpoint-without-proxy Pod shop/bare"),
		},
		{
			name: "a rule for the load balancer keeps auto", manifests: both + dr("shop", "r", `{host: reviews, trafficPolicy: {loadBalancer: {simple: RANDOM}}}`),
			meshed: mtls("applied clienttls/auto-mtls Pod shop/meshed"), bare: plain("applied clienttls/endpoint-without-proxy Pod shop/bare"),
		},
		{
			name: "gateway as client", manifests: both, client: gatewayClient,
			meshed: mtls("applied clienttls/auto-mtls Pod shop/meshed"), bare: plain("applied clienttls/endpoint-without-proxy Pod shop/bare"),
		},
		{
			name: "DISABLE", manifests: both + tls(`{mode: DISABLE}`),
			meshed: plain("applied clienttls/disable shop/r spec.trafficPolicy.tls"), bare: plain("applied clienttls/disable shop/r spec.trafficPolicy.tls"),
		},
		{
			name: "SIMPLE", manifests: both + tls(`{mode: SIMPLE, sni: x.example.com}`),
			meshed: answer{ClientTLSOrigination, "x.example.com", "applied clienttls/simple shop/r spec.trafficPolicy.tls"},
			bare:   answer{ClientTLSOrigination, "x.example.com", "applied clienttls/simple shop/r spec.trafficPolicy.tls"},
		},
		{
			name: "MUTUAL", manifests: both + tls(`{mode: MUTUAL, clientCertificate: /c, privateKey: /k}`),
			meshed: answer{ClientMutualTLSOrigination, "", "applied clienttls/mutual shop/r spec.trafficPolicy.tls"},
			bare:   answer{ClientMutualTLSOrigination, "", "applied clienttls/mutual shop/r spec.trafficPolicy.tls"},
		},
		{
			name: "MUTUAL without a certificate", manifests: both + tls(`{mode: MUTUAL}`),
			meshed: plain("warning clienttls/mutual-without-certificate shop/r spec.trafficPolicy.tls"),
			bare:   plain("warning clienttls/mutual-without-certificate shop/r spec.trafficPolicy.tls"),
		},
		{
			name: "credentialName on a sidecar", manifests: both + tls(`{mode: SIMPLE, credentialName: ca}`),
			meshed: plain("warning clienttls/credential-name-on-sidecar shop/r spec.trafficPolicy.tls.credentialName"),
			bare:   plain("warning clienttls/credential-name-on-sidecar shop/r spec.trafficPolicy.tls.credentialName"),
		},
		{
			name: "credentialName on a gateway", client: gatewayClient, manifests: both + tls(`{mode: SIMPLE, credentialName: ca}`),
			meshed: answer{ClientTLSOrigination, "", "applied clienttls/simple shop/r spec.trafficPolicy.tls"},
			bare:   answer{ClientTLSOrigination, "", "applied clienttls/simple shop/r spec.trafficPolicy.tls"},
		},
		{
			name: "credentialName with a workloadSelector", manifests: both + dr("app", "r", `{host: reviews.shop.svc.cluster.local, workloadSelector: {matchLabels: {app: web}}, trafficPolicy: {tls: {mode: SIMPLE, credentialName: ca}}}`),
			meshed: answer{ClientTLSOrigination, "", "applied clienttls/simple app/r spec.trafficPolicy.tls"},
			bare:   answer{ClientTLSOrigination, "", "applied clienttls/simple app/r spec.trafficPolicy.tls"},
		},
		{
			name: "ISTIO_MUTUAL reaches pods without sidecar", manifests: both + tls(`{mode: ISTIO_MUTUAL}`),
			meshed: mtls("applied clienttls/istio-mutual shop/r spec.trafficPolicy.tls"), bare: mtls("applied clienttls/istio-mutual shop/r spec.trafficPolicy.tls"),
		},
		{
			name: "enableAutoMtls false", manifests: "kind: MeshConfig\nenableAutoMtls: false\n" + both,
			meshed: plain("none clienttls/auto-mtls-off MeshConfig enableAutoMtls"), bare: plain("none clienttls/auto-mtls-off MeshConfig enableAutoMtls"),
		},
		{
			name: "namespace DISABLE beats the workload's STRICT (A-1)", manifests: both + peerAuthentication("shop", "default", "{mtls: {mode: DISABLE}}") +
				peerAuthentication("shop", "reviews", "{selector: {matchLabels: {app: reviews}}, mtls: {mode: STRICT}}"),
			meshed: plain("applied clienttls/namespace-disabled PeerAuthentication shop/default spec.mtls.mode"), bare: plain("applied clienttls/namespace-disabled PeerAuthentication shop/default spec.mtls.mode"),
		},
		{
			name: "workload port DISABLE (A-2)", manifests: both + peerAuthentication("shop", "default", "{mtls: {mode: STRICT}}") +
				peerAuthentication("shop", "reviews", "{selector: {matchLabels: {app: reviews}}, mtls: {mode: STRICT}, portLevelMtls: {8000: {mode: DISABLE}}}"),
			meshed: plain("applied clienttls/workload-disabled PeerAuthentication shop/reviews spec.portLevelMtls[8000].mode"), bare: plain("applied clienttls/endpoint-without-proxy Pod shop/bare"),
		},
		{
			name: "port level without tls inside DISABLE (A-4)", manifests: both + portLevel("DISABLE"),
			meshed: plain("applied clienttls/endpoint-destination-rule shop/r spec.trafficPolicy.tls"),
			bare:   plain("applied clienttls/endpoint-destination-rule shop/r spec.trafficPolicy.tls"),
		},
		{
			name: "port level without tls inside SIMPLE", manifests: both + portLevel("SIMPLE"),
			meshed: plain("applied clienttls/endpoint-destination-rule shop/r spec.trafficPolicy.tls"),
			bare:   plain("applied clienttls/endpoint-destination-rule shop/r spec.trafficPolicy.tls"),
		},
		{
			name: "port level without tls inside ISTIO_MUTUAL", manifests: both + portLevel("ISTIO_MUTUAL"),
			meshed: mtls("applied clienttls/auto-mtls Pod shop/meshed"), bare: plain("applied clienttls/endpoint-without-proxy Pod shop/bare"),
		},
		{
			name: "port level without tls inside ISTIO_MUTUAL ignores the workload's DISABLE", manifests: both + portLevel("ISTIO_MUTUAL") +
				peerAuthentication("shop", "reviews", "{selector: {matchLabels: {app: reviews}}, mtls: {mode: DISABLE}}"),
			meshed: mtls("applied clienttls/auto-mtls Pod shop/meshed"), bare: plain("applied clienttls/endpoint-without-proxy Pod shop/bare"),
		},
		{
			name: "headless: one endpoint without proxy", svc: headless, manifests: both,
			meshed: plain("none clienttls/passthrough-all-or-nothing Pod shop/bare"), bare: plain("none clienttls/passthrough-all-or-nothing Pod shop/bare"),
		},
		{
			name: "headless: all with proxy", svc: headless, manifests: meshedPod,
			meshed: mtls("applied clienttls/passthrough"),
		},
		{
			name: "headless: workload DISABLE does not count", svc: headless, manifests: meshedPod + peerAuthentication("shop", "reviews", "{selector: {matchLabels: {app: reviews}}, mtls: {mode: DISABLE}}"),
			meshed: mtls("applied clienttls/passthrough"),
		},
		{
			name: "PASSTHROUGH: one endpoint without proxy", manifests: both + dr("shop", "r", `{host: reviews, trafficPolicy: {loadBalancer: {simple: PASSTHROUGH}}}`),
			meshed: plain("none clienttls/passthrough-all-or-nothing Pod shop/bare"), bare: plain("none clienttls/passthrough-all-or-nothing Pod shop/bare"),
		},
		{
			name: "PASSTHROUGH of a port level is not looked at when inferring", manifests: both + dr("shop", "r", `{host: reviews, trafficPolicy: {portLevelSettings: [{port: {number: 80}, loadBalancer: {simple: PASSTHROUGH}}]}}`),
			meshed: mtls("applied clienttls/passthrough"), bare: mtls("applied clienttls/passthrough"),
		},
		{
			name: "subset with DISABLE", subset: "v1", manifests: both + dr("shop", "r", `{host: reviews, subsets: [{name: v1, trafficPolicy: {tls: {mode: DISABLE}}}]}`),
			meshed: plain("applied clienttls/disable shop/r spec.subsets[0].trafficPolicy.tls"), bare: plain("applied clienttls/disable shop/r spec.subsets[0].trafficPolicy.tls"),
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			svc, client := tt.svc, tt.client
			if svc == nil {
				svc = selecting(reviewsIn("shop"))
			}
			if client == nil {
				client = sidecarClient
			}
			s := snapshotOf(t, tt.manifests)
			c, _ := s.Cluster(client, svc, svc.Ports[0], tt.subset)
			eps, _ := s.instances(svc, svc.Ports[0])
			got := map[string]answer{"meshed": {}, "bare": {}}
			for _, e := range eps {
				a := s.ClientTLSFor(client, c, e)
				got[e.Workload.Pod] = answer{a.Mode, a.SNI, destinationSteps(t, []Step{a.Step})[0]}
			}
			if diff := cmp.Diff(map[string]answer{"meshed": tt.meshed, "bare": tt.bare}, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestClientTLSExternal(t *testing.T) {
	origination := dr("app", "r", `{host: api.example.com, trafficPolicy: {tls: {mode: SIMPLE}}}`)
	tests := []struct {
		name      string
		manifests string
		internal  bool
		want      ClientTLSMode
		step      string
	}{
		{name: "MESH_EXTERNAL", want: ClientPlaintext, step: "none clienttls/mesh-external ServiceEntry shop/ext spec.location"},
		{name: "MESH_EXTERNAL with DestinationRule", manifests: origination, want: ClientTLSOrigination, step: "applied clienttls/simple app/r spec.trafficPolicy.tls"},
		{name: "MESH_INTERNAL, resolution NONE, no endpoints", internal: true, want: ClientPlaintext, step: "none clienttls/passthrough-no-endpoints ServiceEntry shop/ext spec.hosts[0]"},
		{
			name: "port level without tls inside SIMPLE", want: ClientPlaintext, step: "none clienttls/mesh-external ServiceEntry shop/ext spec.location",
			manifests: dr("app", "r", `{host: api.example.com, trafficPolicy: {tls: {mode: SIMPLE}, portLevelSettings: [{port: {number: 80}, connectionPool: {}}]}}`),
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			svc := external("shop", "ext", "api.example.com", Passthrough, Port{Name: "http", Number: 80, TargetPort: 443, Protocol: ProtocolHTTP})
			svc.MeshExternal = !tt.internal
			s := snapshotOf(t, tt.manifests)
			c, _ := s.Cluster(sidecarClient, svc, svc.Ports[0], "")
			eps, _ := s.Endpoints(sidecarClient, svc, svc.Ports[0])
			got := s.ClientTLSFor(sidecarClient, c, eps[0])
			if diff := cmp.Diff(tt.want, got.Mode); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff([]string{tt.step}, destinationSteps(t, []Step{got.Step})); diff != "" {
				t.Error(diff)
			}
			if eps[0].Address != "api.example.com" || eps[0].Port != 443 {
				t.Errorf("endpoint %s:%d", eps[0].Address, eps[0].Port)
			}
		})
	}
}

func TestClientTLSWithoutAnything(t *testing.T) {
	s := snapshotOf(t, "")
	if got := s.ClientTLSFor(nil, nil, nil); got.Mode != ClientPlaintext {
		t.Errorf("got %v", got)
	}
}

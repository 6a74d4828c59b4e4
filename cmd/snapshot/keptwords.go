package snapshot

import (
	"strings"
	"sync"
)

// keptText are the words that are no names of somebody's: Istio, Kubernetes, HTTP or the domain name system give them a
// meaning.
const keptText = `
istio system kube kubernetes io k8s default svc cluster local ns sa spiffe public lease node mesh external auto
istiod ingressgateway egressgateway ingress egress gateway gateways sidecar proxy router waypoint ztunnel internal
http https http2 grpc grpcs web tcp tls udp mongo mysql redis h2c ws wss mtls hbone
com org net info dev app www localhost
networking security telemetry extensions discovery topology region zone subzone hostname service sidecar inject injector object rev tag
app version name namespace metadata type template templates hash pod true false enabled disabled auth claims header headers
request response connection source destination remote ip principal principals audiences presenter key sni path method host port
rules to from when notpaths get post put patch delete head options
root api slow warmup redacted left out
ambient redirection none workload all east west global scope terminate mutual
ca cert pem sha256
network manager ext authz authn jwt alpn stats exchange compressor buffer googleapis extensions v3
envoy filters lua rbac ratelimit fault cors wasm virtualinbound virtualoutbound
`

var keptWords = sync.OnceValue(func() map[string]bool {
	kept := map[string]bool{}
	for _, w := range strings.Fields(keptText) {
		kept[w] = true
	}
	return kept
})

package resolve

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const trafficAnnotation = "traffic.sidecar.istio.io/"

// TestCapturesOutbound is the capture of a connection to 10.96.0.1:80.
func TestCapturesOutbound(t *testing.T) {
	tests := []struct {
		name        string
		annotations map[string]string
		udp         bool
		want        RuleID
	}{
		{"by default", nil, false, RuleCaptureOutbound},
		{"udp", nil, true, RuleCaptureUDP},
		{"interceptionMode NONE", map[string]string{"sidecar.istio.io/interceptionMode": "NONE"}, false, RuleCaptureModeNone},
		{"port excluded", map[string]string{trafficAnnotation + "excludeOutboundPorts": "443, 80"}, false, RuleCaptureExcludedPort},
		{"other port excluded", map[string]string{trafficAnnotation + "excludeOutboundPorts": "443"}, false, RuleCaptureOutbound},
		{"excluded beats included", map[string]string{trafficAnnotation + "excludeOutboundPorts": "80", trafficAnnotation + "includeOutboundPorts": "80"}, false, RuleCaptureExcludedPort},
		{"interceptionMode NONE in the proxy config", map[string]string{"proxy.istio.io/config": "{interceptionMode: NONE}"}, false, RuleCaptureModeNone},
		{"the annotation beats the proxy config", map[string]string{"sidecar.istio.io/interceptionMode": "REDIRECT", "proxy.istio.io/config": "{interceptionMode: NONE}"}, false, RuleCaptureOutbound},
		{"an excluded address beats the port", map[string]string{trafficAnnotation + "excludeOutboundIPRanges": "10.96.0.0/16", trafficAnnotation + "includeOutboundPorts": "80"}, false, RuleCaptureExcludedIP},
		{"address excluded", map[string]string{trafficAnnotation + "excludeOutboundIPRanges": "10.96.0.0/16"}, false, RuleCaptureExcludedIP},
		{"other address excluded", map[string]string{trafficAnnotation + "excludeOutboundIPRanges": "10.97.0.0/16"}, false, RuleCaptureOutbound},
		{"address included", map[string]string{trafficAnnotation + "includeOutboundIPRanges": "10.96.0.0/16"}, false, RuleCaptureOutbound},
		{"other address included", map[string]string{trafficAnnotation + "includeOutboundIPRanges": "10.97.0.0/16"}, false, RuleCaptureExcludedIP},
		{"every address included", map[string]string{trafficAnnotation + "includeOutboundIPRanges": "*"}, false, RuleCaptureOutbound},
		{"no address included", map[string]string{trafficAnnotation + "includeOutboundIPRanges": ""}, false, RuleCaptureExcludedIP},
		{"no address, but the port", map[string]string{trafficAnnotation + "includeOutboundIPRanges": "", trafficAnnotation + "includeOutboundPorts": "80"}, false, RuleCaptureOutbound},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := clientIn("shop", nil)
			w.Annotations = tt.annotations
			captured, step := snapshotOf(t, "").CapturesOutbound(w, Dialled{Address: singleAddress(netip.MustParseAddr("10.96.0.1")), Port: 80}, tt.udp)
			if diff := cmp.Diff(tt.want, step.Rule); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if want := tt.want == RuleCaptureOutbound; captured != want {
				t.Errorf("want captured %v, got %v", want, captured)
			}
		})
	}
}

// TestCapturesInbound is the capture of a connection to a pod port.
func TestCapturesInbound(t *testing.T) {
	tests := []struct {
		name        string
		annotations map[string]string
		port        int
		udp         bool
		want        RuleID
	}{
		{"by default", nil, 80, false, RuleCaptureInbound},
		{"UDP", nil, 80, true, RuleCaptureUDP},
		{"health port of the proxy", nil, 15021, false, RuleCaptureInboundPort},
		{"merged metrics of the proxy", nil, 15020, false, RuleCaptureInboundPort},
		{"metrics of the proxy", nil, 15090, false, RuleCaptureInboundPort},
		{"excluded", map[string]string{trafficAnnotation + "excludeInboundPorts": "80"}, 80, false, RuleCaptureInboundPort},
		{"another one excluded", map[string]string{trafficAnnotation + "excludeInboundPorts": "81"}, 80, false, RuleCaptureInbound},
		{"included", map[string]string{trafficAnnotation + "includeInboundPorts": "80,81"}, 80, false, RuleCaptureInbound},
		{"another one included", map[string]string{trafficAnnotation + "includeInboundPorts": "81"}, 80, false, RuleCaptureInboundPort},
		{"included beats excluded", map[string]string{trafficAnnotation + "includeInboundPorts": "80", trafficAnnotation + "excludeInboundPorts": "80"}, 80, false, RuleCaptureInbound},
		{"excluded of all", map[string]string{trafficAnnotation + "includeInboundPorts": "*", trafficAnnotation + "excludeInboundPorts": "80"}, 80, false, RuleCaptureInboundPort},
		{"none included", map[string]string{trafficAnnotation + "includeInboundPorts": ""}, 80, false, RuleCaptureInboundPort},
		{"interceptionMode NONE", map[string]string{"sidecar.istio.io/interceptionMode": "NONE"}, 80, false, RuleCaptureModeNone},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := clientIn("shop", nil)
			w.Annotations = tt.annotations
			_, step := snapshotOf(t, "").CapturesInbound(w, tt.port, tt.udp)
			if diff := cmp.Diff(tt.want, step.Rule); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

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
			captured, step := CapturesOutbound(w, Dialled{Address: singleAddress(netip.MustParseAddr("10.96.0.1")), Port: 80}, tt.udp)
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
		want        RuleID
	}{
		{"by default", nil, 80, RuleCaptureInbound},
		{"health port of the proxy", nil, 15021, RuleCaptureInboundPort},
		{"merged metrics of the proxy", nil, 15020, RuleCaptureInboundPort},
		{"metrics of the proxy", nil, 15090, RuleCaptureInboundPort},
		{"excluded", map[string]string{trafficAnnotation + "excludeInboundPorts": "80"}, 80, RuleCaptureInboundPort},
		{"another one excluded", map[string]string{trafficAnnotation + "excludeInboundPorts": "81"}, 80, RuleCaptureInbound},
		{"included", map[string]string{trafficAnnotation + "includeInboundPorts": "80,81"}, 80, RuleCaptureInbound},
		{"another one included", map[string]string{trafficAnnotation + "includeInboundPorts": "81"}, 80, RuleCaptureInboundPort},
		{"included beats excluded", map[string]string{trafficAnnotation + "includeInboundPorts": "80", trafficAnnotation + "excludeInboundPorts": "80"}, 80, RuleCaptureInbound},
		{"excluded of all", map[string]string{trafficAnnotation + "includeInboundPorts": "*", trafficAnnotation + "excludeInboundPorts": "80"}, 80, RuleCaptureInboundPort},
		{"none included", map[string]string{trafficAnnotation + "includeInboundPorts": ""}, 80, RuleCaptureInboundPort},
		{"interceptionMode NONE", map[string]string{"sidecar.istio.io/interceptionMode": "NONE"}, 80, RuleCaptureModeNone},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := clientIn("shop", nil)
			w.Annotations = tt.annotations
			_, step := CapturesInbound(w, tt.port)
			if diff := cmp.Diff(tt.want, step.Rule); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

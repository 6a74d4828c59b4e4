package trace

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

func TestClientIP(t *testing.T) {
	for _, test := range []struct {
		name, peer, xff string
		// gateways are the TCP peers that gateways have added, "" for one that is not known.
		gateways []string
		trusted  int
		// atGateway and atSidecar are the clients told; "" for not known.
		atGateway, atSidecar string
	}{
		{"no header", "10.0.0.1", "", nil, 0, "10.0.0.1", "10.0.0.1"},
		{"a header no gateway trusts, but a sidecar", "10.0.0.1", "1.1.1.1", nil, 0, "10.0.0.1", "1.1.1.1"},
		{"one trusted proxy", "10.0.0.1", "1.1.1.1, 2.2.2.2", nil, 1, "2.2.2.2", "2.2.2.2"},
		{"two trusted proxies", "10.0.0.1", "1.1.1.1, 2.2.2.2", nil, 2, "1.1.1.1", "2.2.2.2"},
		{"too few entries", "10.0.0.1", "1.1.1.1", nil, 2, "10.0.0.1", "1.1.1.1"},
		{"not an address", "10.0.0.1", "client", nil, 1, "10.0.0.1", "10.0.0.1"},
		{"behind a gateway", "10.0.0.7", "1.1.1.1", []string{"10.0.0.1"}, 2, "1.1.1.1", "10.0.0.1"},
		{"behind a gateway with an unknown client", "10.0.0.7", "1.1.1.1", []string{""}, 0, "10.0.0.7", ""},
		{"behind a second gateway", "10.0.0.8", "", []string{"", "10.0.0.7"}, 1, "10.0.0.7", "10.0.0.7"},
		{"beyond the entry that is not known", "10.0.0.8", "1.1.1.1", []string{"", "10.0.0.7"}, 3, "", "10.0.0.7"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := &path{http: &resolve.HTTPRequest{Headers: map[string]string{}}}
			if test.xff != "" {
				p.http.Headers["x-forwarded-for"] = test.xff
			}
			for _, peer := range test.gateways {
				p.senderIP = netip.Addr{}
				if peer != "" {
					p.senderIP = netip.MustParseAddr(peer)
				}
				p.forwardedByGateway()
			}
			p.senderIP = netip.MustParseAddr(test.peer)
			text := func(a netip.Addr) string {
				if !a.IsValid() {
					return ""
				}
				return a.String()
			}
			got := []string{text(p.remoteIP(test.trusted)), text(p.sidecarRemoteIP(p.http)), text(p.sidecarRemoteIP(nil))}
			if diff := cmp.Diff([]string{test.atGateway, test.atSidecar, test.peer}, got); diff != "" {
				t.Errorf("at a gateway, at a sidecar, on TCP (-want +got):\n%s", diff)
			}
		})
	}
}

package evaluator

import (
	"net/netip"
	"testing"

	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
)

// Source: docs + "configuration/listeners/listener_filters/original_dst_filter" and
// docs + "api-v3/config/listener/v3/listener.proto", use_original_dst.
func TestOriginalDestinationHandsOver(t *testing.T) {
	socket := func(name, ip string, port string) *listener.Listener {
		return xds(t, "{name: "+name+", address: {socket_address: {address: "+ip+", port_value: "+port+"}}}", &listener.Listener{})
	}
	capture := xds(t, "{name: capture, use_original_dst: true, address: {socket_address: {address: 0.0.0.0, port_value: 15001}}}", &listener.Listener{})
	all := []*listener.Listener{capture, socket("wildcard", "0.0.0.0", "80"), socket("exact", "10.0.0.1", "80")}
	for _, row := range []struct{ says, to, want string }{
		{"exactly the address", "10.0.0.1:80", "exact"},
		{"any address", "10.0.0.2:80", "wildcard"},
		{"another port stays", "10.0.0.1:81", "capture"},
	} {
		t.Run(row.says, func(t *testing.T) {
			if got := originalDestination(all, capture, netip.MustParseAddrPort(row.to)).GetName(); got != row.want {
				t.Errorf("%s, not %s", got, row.want)
			}
		})
	}
	t.Run("a listener that does not ask for it keeps the connection", func(t *testing.T) {
		if got := originalDestination(all, all[1], netip.MustParseAddrPort("10.0.0.1:80")).GetName(); got != "wildcard" {
			t.Error(got)
		}
	})
}

// Source: docs + "api-v3/config/listener/v3/listener_components.proto", ListenerFilter.filter_disabled.
func TestInspectorsRunWhereTheyAreNotDisabled(t *testing.T) {
	for _, row := range []struct {
		says, disabled string
		port           int
		want           bool
	}{
		{"no predicate", "", 80, true},
		{"within the range", ", filter_disabled: {destination_port_range: {start: 80, end: 81}}", 80, false},
		{"the end is outside", ", filter_disabled: {destination_port_range: {start: 80, end: 81}}", 81, true},
		{"one of", ", filter_disabled: {or_match: {rules: [{destination_port_range: {start: 1, end: 2}}, {destination_port_range: {start: 80, end: 81}}]}}", 80, false},
		{"all of", ", filter_disabled: {and_match: {rules: [{any_match: true}, {destination_port_range: {start: 80, end: 81}}]}}", 90, true},
		{"none of", ", filter_disabled: {not_match: {destination_port_range: {start: 80, end: 81}}}", 90, false},
	} {
		t.Run(row.says, func(t *testing.T) {
			l := xds(t, "{listener_filters: [{name: inspector"+row.disabled+"}]}", &listener.Listener{})
			if got := inspects(l, "inspector", row.port); got != row.want {
				t.Error(got)
			}
		})
	}
}

package resolve

import (
	"slices"
	"strings"
)

// DropUpgrade takes off the headers with which a request asks for no upgrade that counts; the step tells of one that was in
// Upgrade.
//
//  1. h2c is no upgrade for Envoy: Upgrade and HTTP2-Settings go, and the request goes on in HTTP/1.1.
//  2. Upgrade counts for nothing where Connection does not name it.
//  3. Connection is for one connection, so it goes where no upgrade is left; and so does Upgrade.
//
// Source: Envoy, source/common/http/http1/codec_impl.cc, onHeadersCompleteImpl; source/common/http/conn_manager_utility.cc,
// mutateRequestHeaders.
func (q *HTTPRequest) DropUpgrade() *Step {
	protocol, asked := wantedUpgrade(q)
	if asked && protocol != "" && protocol != "h2c" {
		return nil
	}
	delete(q.Headers, "connection")
	if protocol == "" {
		return nil
	}
	delete(q.Headers, "upgrade")
	if asked {
		delete(q.Headers, "http2-settings")
	}
	step := NewStep(RuleUpgradeDropped, Applied, Ref{}, protocol)
	return &step
}

// RefusedUpgrade is the protocol that a request asks the connection to be upgraded to, where no proxy of Istio allows that.
//
//  1. A request asks for it with "Upgrade" among the words of Connection, and the protocol in Upgrade.
//  2. h2c is no upgrade: see DropUpgrade.
//  3. websocket is allowed everywhere. Anything else is answered with 403 before any filter looks at the request.
//
// Source: pilot/pkg/networking/core/listener_builder.go, buildHTTPConnectionManager (UpgradeConfigs); Envoy,
// source/common/http/utility.cc, isUpgrade, isH2UpgradeRequest; source/common/http/conn_manager_impl.cc, upgrade_rejected.
func RefusedUpgrade(q *HTTPRequest) (string, bool) {
	protocol, asked := wantedUpgrade(q)
	return protocol, asked && protocol != "" && protocol != "h2c" && protocol != "websocket"
}

// wantedUpgrade is the protocol in Upgrade, and whether Connection says that it is asked for.
func wantedUpgrade(q *HTTPRequest) (protocol string, asked bool) {
	asked = slices.ContainsFunc(strings.Split(q.Headers["connection"], ","), func(word string) bool {
		return strings.EqualFold(strings.TrimSpace(word), "upgrade")
	})
	return strings.ToLower(strings.TrimSpace(q.Headers["upgrade"])), asked
}

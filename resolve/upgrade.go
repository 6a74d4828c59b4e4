package resolve

import (
	"slices"
	"strings"
)

// RefusedUpgrade is the protocol that a request asks the connection to be upgraded to, where no proxy of Istio allows that.
//
//  1. A request asks for it with "Upgrade" among the words of Connection, and the protocol in Upgrade.
//  2. h2c is no upgrade: Envoy takes the headers off, and the request goes on in HTTP/1.1.
//  3. websocket is allowed everywhere. Anything else is answered with 403 before any filter looks at the request.
//
// Source: pilot/pkg/networking/core/listener_builder.go, buildHTTPConnectionManager (UpgradeConfigs); Envoy,
// source/common/http/utility.cc, isUpgrade, isH2UpgradeRequest; source/common/http/conn_manager_impl.cc, upgrade_rejected.
func RefusedUpgrade(q *HTTPRequest) (string, bool) {
	protocol := strings.ToLower(strings.TrimSpace(q.Headers["upgrade"]))
	asked := slices.ContainsFunc(strings.Split(q.Headers["connection"], ","), func(word string) bool {
		return strings.EqualFold(strings.TrimSpace(word), "upgrade")
	})
	return protocol, asked && protocol != "" && protocol != "h2c" && protocol != "websocket"
}

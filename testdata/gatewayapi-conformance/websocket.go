package gatewayapi

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"

	"golang.org/x/net/websocket"

	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// WebSocketDialer opens the suite's websockets: the tracer is asked for the request that asks for the upgrade, and a
// server that echoes takes the place of the pod to which it leads.
type WebSocketDialer struct {
	Player *Player
	Server *httptest.Server
}

// NewWebSocketDialer starts the server that echoes.
func NewWebSocketDialer(p *Player) WebSocketDialer {
	return WebSocketDialer{p, httptest.NewServer(websocket.Handler(func(c *websocket.Conn) {
		_, _ = io.Copy(c, c) // it ends with the connection
	}))}
}

// Dial opens a websocket.
func (d WebSocketDialer) Dial(to, protocol, origin string) (*websocket.Conn, error) {
	u, err := url.Parse(to)
	if err != nil {
		return nil, err
	}
	gateway, err := d.Player.Cluster.gatewayAt(u.Host)
	if err != nil {
		return nil, err
	}
	sent := http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Origin": {origin}}
	u.Scheme = "http"
	a, err := d.Player.Play(trace.Typed{
		URL: u.String(), Headers: typedHeaders(sent), From: trace.External, Gateway: gateway, SourceIP: "203.0.113.7",
	}, sent)
	switch {
	case err != nil:
		return nil, err
	case a.Backend.IsZero():
		return nil, fmt.Errorf("a proxy answers %d", a.Status)
	case a.Received.Get("Upgrade") != "websocket":
		return nil, fmt.Errorf("%s is not asked for the upgrade", a.Backend)
	}
	return websocket.Dial("ws"+strings.TrimPrefix(d.Server.URL, "http")+a.Path, protocol, origin)
}

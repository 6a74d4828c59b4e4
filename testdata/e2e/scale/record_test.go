package scale

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"

	"k8s.io/client-go/rest"
)

// request is what a client has asked the API server for.
type request struct{ uri, accept string }

// recorder is a proxy that ends TLS in front of an API server and keeps what is asked for and there.
type recorder struct {
	*httptest.Server
	mu   sync.Mutex
	seen []request
}

// newRecorder passes requests on as the user of the config.
func newRecorder(t testing.TB, config *rest.Config) *recorder {
	t.Helper()
	transport, err := rest.TransportFor(config)
	if err != nil {
		t.Fatal(err)
	}
	server, err := url.Parse(config.Host)
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{}
	r.Server = httptest.NewUnstartedServer(&httputil.ReverseProxy{
		Transport: transport, Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(server) },
		ModifyResponse: func(answer *http.Response) error {
			r.mu.Lock()
			defer r.mu.Unlock()
			if q := answer.Request; answer.StatusCode == http.StatusOK {
				r.seen = append(r.seen, request{q.URL.RequestURI(), q.Header.Get("Accept")})
			}
			return nil
		},
	})
	r.EnableHTTP2 = true
	r.StartTLS()
	t.Cleanup(r.Close)
	return r
}

// authority is the certificate of a server of a test, which is its own authority, as PEM.
func authority(s *httptest.Server) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
}

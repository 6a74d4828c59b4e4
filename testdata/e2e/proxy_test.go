package e2e

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/mesh-trace/kubectl-mesh-trace/testdata/e2e/cluster"
)

// proxy stands in front of the API server and does what networks and load balancers do.
type proxy struct {
	// kubeconfig is that of the token's owner, who comes by the proxy.
	kubeconfig string

	next http.Handler
	// fault answers in the API server's place, and reports whether it did; nil never does.
	fault func(http.ResponseWriter, *http.Request) bool
	// answers are the bodies that passed, where record is set.
	record  bool
	mu      sync.Mutex
	answers []passed
	faults  int
}

// passed is one answer that came through.
type passed struct {
	request string
	body    []byte
}

// throughProxy starts a proxy to the cluster; the fault must not be changed while a request runs.
func throughProxy(t *testing.T, c *cluster.Cluster) *proxy {
	t.Helper()
	authorities := x509.NewCertPool()
	authorities.AppendCertsFromPEM(c.Config.CAData)
	target, err := url.Parse(c.URL)
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{}
	next := httputil.NewSingleHostReverseProxy(target)
	next.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: authorities}}
	next.ModifyResponse = p.keep
	p.next = next
	server := httptest.NewUnstartedServer(p)
	server.Config.ErrorLog = nil
	server.StartTLS()
	t.Cleanup(server.Close)
	config := c.ConfigWithToken(cluster.Token)
	config.Host = server.URL
	config.CAData = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	p.kubeconfig = cluster.WriteKubeconfig(t, config)
	return p
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if p.fault != nil && p.fault(w, r) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.faults++
		return
	}
	r.Header.Del("Accept-Encoding") // the transport's own is undone before the answer is looked at
	p.next.ServeHTTP(w, r)
}

func (p *proxy) keep(r *http.Response) error {
	if !p.record {
		return nil
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answers = append(p.answers, passed{r.Request.Method + " " + r.Request.URL.String(), body})
	return nil
}

// listOf reports whether a request lists a kind by its plural, everywhere or in a namespace.
func listOf(r *http.Request, plural string) bool {
	return strings.HasSuffix(r.URL.Path, "/"+plural)
}

// lists reports whether a request lists objects, and is not discovery.
func lists(r *http.Request) bool { return r.URL.Query().Has("limit") || r.URL.Query().Has("continue") }

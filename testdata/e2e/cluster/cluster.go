package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/util/keyutil"
)

const (
	// startTime is how long the two programs may take until they are ready, on a machine that does other things.
	startTime = 2 * time.Minute
	// attempts is how often other ports are tried where they do not start.
	attempts = 3
)

// Cluster is an API server that runs.
type Cluster struct {
	// Config is the administrator's, of the group system:masters.
	Config *rest.Config
	// URL is "https://127.0.0.1:PORT".
	URL string
	// Dir has all that the cluster keeps: data, certificates, logs. It ends with it.
	Dir string
	// AuditLog is the file with one JSON object for each answer; [Cluster.Audit] reads it.
	AuditLog string

	authority *authority
	etcdURL   string
	etcd      *process
	server    *process
	client    dynamic.Interface
	mapper    *restmapper.DeferredDiscoveryRESTMapper
	discovery discovery.CachedDiscoveryInterface
	// untouched is what etcd held when the cluster was ready, by key.
	untouched map[string]stored
}

// Option changes how a cluster starts.
type Option func(*options)

type options struct {
	crds []CRDs
}

// WithCRDs installs these definitions in place of [AllCRDs]; none is allowed.
func WithCRDs(crds ...CRDs) Option { return func(o *options) { o.crds = crds } }

// Start runs a cluster that stops with the test.
func Start(t testing.TB, opts ...Option) *Cluster {
	t.Helper()
	c, err := Run(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// Run runs a cluster until [Cluster.Close].
func Run(opts ...Option) (*Cluster, error) {
	o := options{crds: AllCRDs()}
	for _, set := range opts {
		set(&o)
	}
	programs, err := binaries()
	if err != nil {
		return nil, err
	}
	for attempt := 1; ; attempt++ {
		c, err := run(programs)
		if err == nil {
			if err = c.install(o.crds); err == nil {
				return c, nil
			}
			c.Close()
			return nil, err
		}
		if attempt == attempts {
			return nil, err
		}
	}
}

// Close stops the programs and removes what they kept.
func (c *Cluster) Close() {
	c.server.stop()
	c.etcd.stop()
	os.RemoveAll(c.Dir) //nolint:errcheck // a temporary directory
}

func run(programs string) (_ *Cluster, err error) {
	c := &Cluster{}
	if c.Dir, err = os.MkdirTemp("", "kubectl-mesh-trace-e2e-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			c.Close()
		}
	}()
	c.AuditLog = filepath.Join(c.Dir, "audit.log")
	ports, err := freePorts(3)
	if err != nil {
		return nil, err
	}
	if c.authority, err = newAuthority(); err != nil {
		return nil, err
	}
	if err := c.writeFiles(); err != nil {
		return nil, err
	}
	if err := c.startEtcd(filepath.Join(programs, "etcd"), ports[0], ports[1]); err != nil {
		return nil, err
	}
	if err := c.startServer(filepath.Join(programs, "kube-apiserver"), ports[2]); err != nil {
		return nil, err
	}
	return c, c.connect()
}

// auditPolicy records each answer once, with the request's URI and without bodies.
const auditPolicy = `
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules: [{level: Metadata}]
`

// writeFiles writes what the API server reads as it starts.
func (c *Cluster) writeFiles() error {
	certificate, key, err := c.authority.server()
	if err != nil {
		return err
	}
	accounts, err := keyutil.MakeEllipticPrivateKeyPEM()
	if err != nil {
		return err
	}
	for name, text := range map[string][]byte{
		"ca.crt": c.authority.pem, "server.crt": certificate, "server.key": key, "accounts.key": accounts,
		"tokens.csv": []byte(Token + "," + TokenUser + ",1\n"), "audit.yaml": []byte(auditPolicy),
	} {
		if err := os.WriteFile(c.file(name), text, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cluster) file(name string) string { return filepath.Join(c.Dir, name) }

func (c *Cluster) startEtcd(program string, clients, peers int) error {
	c.etcdURL = fmt.Sprintf("http://127.0.0.1:%d", clients)
	peersURL := fmt.Sprintf("http://127.0.0.1:%d", peers)
	var err error
	c.etcd, err = start(c.file("etcd.log"), program, "--data-dir="+c.file("etcd"), "--unsafe-no-fsync", "--log-level=error",
		"--listen-client-urls="+c.etcdURL, "--advertise-client-urls="+c.etcdURL,
		"--listen-peer-urls="+peersURL, "--initial-advertise-peer-urls="+peersURL, "--initial-cluster=default="+peersURL)
	return err
}

// startServer runs kube-apiserver as a cluster does, but for three things: pods need no ServiceAccount, which a controller
// would make; requests are not queued by priority; and one more user has a token.
func (c *Cluster) startServer(program string, port int) error {
	c.URL = fmt.Sprintf("https://127.0.0.1:%d", port)
	var err error
	c.server, err = start(c.file("kube-apiserver.log"), program,
		"--etcd-servers="+c.etcdURL,
		"--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", port),
		"--tls-cert-file="+c.file("server.crt"), "--tls-private-key-file="+c.file("server.key"),
		"--client-ca-file="+c.file("ca.crt"), "--token-auth-file="+c.file("tokens.csv"),
		"--service-account-issuer=https://e2e.local", "--service-account-signing-key-file="+c.file("accounts.key"),
		"--service-account-key-file="+c.file("accounts.key"),
		"--endpoint-reconciler-type=none", "--authorization-mode=RBAC", "--disable-admission-plugins=ServiceAccount",
		"--enable-priority-and-fairness=false", "--service-cluster-ip-range=10.0.0.0/8,fd00::/108",
		"--audit-policy-file="+c.file("audit.yaml"), "--audit-log-path="+c.AuditLog, "--v=0")
	return err
}

// connect makes the administrator's client and waits until the server is ready.
func (c *Cluster) connect() error {
	certificate, key, err := c.authority.client("admin", []string{"system:masters"}, time.Now().Add(24*time.Hour))
	if err != nil {
		return err
	}
	c.Config = &rest.Config{
		Host: c.URL, QPS: -1, WarningHandler: rest.NoWarnings{},
		TLSClientConfig: rest.TLSClientConfig{CAData: c.authority.pem, CertData: certificate, KeyData: key},
	}
	client, err := discovery.NewDiscoveryClientForConfig(c.Config)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	return c.until(ctx, "kube-apiserver to be ready", func() error {
		return client.RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
	})
}

// until waits for something to succeed, as long as both programs run.
func (c *Cluster) until(ctx context.Context, what string, do func() error) error {
	for {
		err := do()
		if err == nil {
			return nil
		}
		select {
		case <-c.etcd.ended:
			return c.etcd.failure("waiting for %s: etcd has ended", what)
		case <-c.server.ended:
			return c.server.failure("waiting for %s: kube-apiserver has ended", what)
		case <-ctx.Done():
			return c.server.failure("waiting for %s: %v", what, errors.Join(ctx.Err(), err))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

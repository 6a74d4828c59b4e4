package istiod

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/mesh-trace/kubectl-mesh-trace/testdata/e2e/cluster"
)

// Namespace is where Istio is installed.
const Namespace = "istio-system"

// readyTime is how long istiod may take until it is ready, on a machine that does other things.
const readyTime = 2 * time.Minute

// program is istiod, which the go command builds and keeps.
var program = sync.OnceValues(func() (string, error) {
	out, err := exec.Command("go", "tool", "-n", "pilot-discovery").Output()
	if err != nil {
		return "", fmt.Errorf("go tool -n pilot-discovery: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
})

// Istiod is a control plane that runs.
type Istiod struct {
	client kubernetes.Interface
	// address is where proxies connect by TLS.
	address string
	log     string
}

// Start installs Istio in the cluster and runs its control plane until the test ends. What is in the cluster by then it
// has read when Start returns.
func Start(t testing.TB, c *cluster.Cluster) *Istiod {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	manifests, err := manifests()
	if err != nil {
		t.Fatal(err)
	}
	c.Apply(t, manifests)
	client, err := kubernetes.NewForConfig(c.Config)
	if err != nil {
		t.Fatal(err)
	}
	dir, ports := t.TempDir(), freePorts(t, 5)
	i := &Istiod{client: client, address: ports[0], log: filepath.Join(dir, "log")}
	command := exec.Command(path, "discovery", "--kubeconfig", cluster.WriteKubeconfig(t, c.Config),
		"--secureGRPCAddr", ports[0], "--httpAddr", ports[1], "--httpsAddr", ports[2], "--monitoringAddr", ports[3], "--grpcAddr", "",
		"--ctrlz_port", ports[4][strings.LastIndex(ports[4], ":")+1:], "--domain", "cluster.local", "--shutdownDuration", "1s")
	// The variables that the chart sets; istiod writes its own certificates below its directory.
	command.Dir, command.Env = dir, append(os.Environ(), "POD_NAME=istiod-0", "POD_NAMESPACE="+Namespace, "REVISION=default", "CLUSTER_ID=Kubernetes",
		"PILOT_CERT_PROVIDER=istiod", "ISTIOD_CUSTOM_HOST=")
	i.run(t, command, "http://"+ports[1]+"/ready")
	return i
}

// run starts the process and waits until it is ready.
func (i *Istiod) run(t testing.TB, command *exec.Cmd, readiness string) {
	t.Helper()
	log, err := os.Create(i.log)
	if err != nil {
		t.Fatal(err)
	}
	command.Stdout, command.Stderr = log, log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		command.Wait() //nolint:errcheck // how it ended is in its log
		log.Close()    //nolint:errcheck // nothing writes to it any more
		close(ended)
	}()
	t.Cleanup(func() {
		command.Process.Kill() //nolint:errcheck // it may have ended
		<-ended
		if t.Failed() {
			t.Log("istiod:\n" + i.tail())
		}
	})
	for until := time.Now().Add(readyTime); time.Now().Before(until); time.Sleep(50 * time.Millisecond) {
		select {
		case <-ended:
			t.Fatal("istiod has ended")
		default:
		}
		response, err := http.Get(readiness)
		if err != nil {
			continue
		}
		response.Body.Close() //nolint:errcheck // the status is all
		if response.StatusCode == http.StatusOK {
			return
		}
	}
	t.Fatal("istiod does not become ready")
}

// tail is the last that istiod has printed.
func (i *Istiod) tail() string {
	text, err := os.ReadFile(i.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(string(text), "\n")
	return strings.Join(lines[max(0, len(lines)-40):], "\n")
}

// Dial connects as the agent of a pod of that ServiceAccount: by TLS, with a token for istiod.
func (i *Istiod) Dial(ctx context.Context, namespace, serviceAccount string) (*grpc.ClientConn, error) {
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: []string{"istio-ca"}}}
	got, err := i.client.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, serviceAccount, request, metav1.CreateOptions{})
	if err != nil {
		return nil, err
	}
	secret, err := i.client.CoreV1().Secrets(Namespace).Get(ctx, "istio-ca-secret", metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(secret.Data["ca-cert.pem"]) {
		return nil, fmt.Errorf("the Secret istio-ca-secret has no certificate of istiod's authority")
	}
	return grpc.NewClient(i.address,
		grpc.WithTransportCredentials(credentials.NewClientTLSFromCert(roots, "istiod."+Namespace+".svc")),
		grpc.WithPerRPCCredentials(token(got.Status.Token)), grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(1<<30)))
}

// token is what a pod proves itself with.
type token string

// GetRequestMetadata is what goes with each call.
func (k token) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(k)}, nil
}

// RequireTransportSecurity keeps the token off plaintext connections.
func (k token) RequireTransportSecurity() bool { return true }

// freePorts are addresses on loopback that nothing listens on.
func freePorts(t testing.TB, n int) []string {
	t.Helper()
	var out []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close() //nolint:errcheck // all are held until each has been found
		out = append(out, net.JoinHostPort("127.0.0.1", strconv.Itoa(l.Addr().(*net.TCPAddr).Port)))
	}
	return out
}

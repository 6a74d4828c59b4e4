package load

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/mesh-trace/kubectl-mesh-trace/cmd/load/loadtest"
)

func TestClusterThatCannotBeRead(t *testing.T) {
	tests := []struct {
		name    string
		config  func(*testing.T, *loadtest.Server) *rest.Config
		problem ClusterProblem
		// says is the sentence, SERVER standing for the address, up to what the operating system words itself.
		says string
	}{
		{
			name:    "credentials refused",
			config:  refusing("/api", http.StatusUnauthorized),
			problem: ClusterUnauthorized,
			says:    "the API server SERVER does not accept the credentials: the server has asked for the client to provide credentials",
		},
		{
			name:    "credentials refused in the middle",
			config:  refusing("/api/v1/pods", http.StatusUnauthorized),
			problem: ClusterUnauthorized,
			says:    "the API server SERVER does not accept the credentials: list Pod: the server says Unauthorized",
		},
		{
			name: "credentials refused by an older server",
			config: func(t *testing.T, s *loadtest.Server) *rest.Config {
				s.Legacy = true
				return refusing("/apis/apps/v1", http.StatusUnauthorized)(t, s)
			},
			problem: ClusterUnauthorized,
			says:    "the API server SERVER does not accept the credentials: the server says Unauthorized",
		},
		{
			name:    "credentials refused at the mesh config",
			config:  refusing("/api/v1/namespaces/istio-system/configmaps/istio", http.StatusUnauthorized),
			problem: ClusterUnauthorized,
			says:    "the API server SERVER does not accept the credentials: the server says Unauthorized",
		},
		{
			name:    "discovery forbidden",
			config:  refusing("/apis", http.StatusForbidden),
			problem: ClusterForbidden,
			says:    "this user may not ask the API server SERVER which APIs it serves",
		},
		{
			name: "impersonation forbidden",
			config: func(t *testing.T, s *loadtest.Server) *rest.Config {
				config := refusing("/apis", http.StatusForbidden)(t, s)
				config.Impersonate.UserName = "jane"
				return config
			},
			problem: ClusterForbidden,
			says:    "this user may not impersonate jane at the API server SERVER, or jane may not ask it which APIs it serves",
		},
		{
			name:    "not ready",
			config:  refusing("/apis", http.StatusServiceUnavailable),
			problem: ClusterUnreachable,
			says:    "the API server SERVER can not be reached: the server is currently unable to handle the request",
		},
		{
			name: "nobody listens",
			config: func(_ *testing.T, s *loadtest.Server) *rest.Config {
				s.Close()
				return s.Config()
			},
			problem: ClusterUnreachable,
			says:    "the API server SERVER can not be reached: dial tcp ",
		},
		{
			name: "every list fails",
			config: func(_ *testing.T, s *loadtest.Server) *rest.Config {
				s.Answer = func(w http.ResponseWriter, r *http.Request) bool {
					if r.URL.Path == "/api" || r.URL.Path == "/apis" {
						return false
					}
					loadtest.WriteStatus(w, http.StatusInternalServerError, "etcd is away")
					return true
				}
				return s.Config()
			},
			problem: ClusterUnreachable,
			says:    "the API server SERVER can not be reached: no kind can be listed: etcd is away",
		},
		{
			name: "a certificate nobody vouches for",
			config: func(t *testing.T, s *loadtest.Server) *rest.Config {
				return &rest.Config{Host: startTLS(t, s)}
			},
			problem: ClusterUntrusted,
			says:    "the TLS handshake with the API server SERVER failed: tls: failed to verify certificate: x509: ",
		},
		{
			name: "plain HTTP where TLS was meant",
			config: func(_ *testing.T, s *loadtest.Server) *rest.Config {
				return &rest.Config{Host: strings.Replace(s.URL, "http:", "https:", 1)}
			},
			problem: ClusterUntrusted,
			says:    "the TLS handshake with the API server SERVER failed: http: server gave HTTP response to HTTPS client",
		},
		{
			name: "no answer",
			config: func(_ *testing.T, s *loadtest.Server) *rest.Config {
				s.Answer = func(_ http.ResponseWriter, r *http.Request) bool {
					<-r.Context().Done()
					return true
				}
				config := s.Config()
				config.Timeout = 50 * time.Millisecond
				return config
			},
			problem: ClusterTimeout,
			says:    "the API server SERVER did not answer in time: ",
		},
		{
			name: "a web page",
			config: func(_ *testing.T, s *loadtest.Server) *rest.Config {
				s.Answer = func(w http.ResponseWriter, _ *http.Request) bool {
					w.Header().Set("Content-Type", "text/html")
					_, _ = w.Write([]byte("<html>sign in</html>"))
					return true
				}
				return s.Config()
			},
			problem: ClusterForeign,
			says:    "SERVER does not answer as a Kubernetes API server: invalid character '<' looking for beginning of value",
		},
		{
			name: "a server that knows nothing",
			config: func(_ *testing.T, s *loadtest.Server) *rest.Config {
				s.Answer = func(w http.ResponseWriter, r *http.Request) bool {
					http.NotFound(w, r)
					return true
				}
				return s.Config()
			},
			problem: ClusterForeign,
			says:    "SERVER does not answer as a Kubernetes API server: the server could not find the requested resource",
		},
		{
			name: "a credential plugin that fails",
			config: func(_ *testing.T, s *loadtest.Server) *rest.Config {
				config := s.Config()
				config.ExecProvider = &clientcmdapi.ExecConfig{
					Command: "mesh-trace-no-such-plugin", APIVersion: "client.authentication.k8s.io/v1",
					InteractiveMode: clientcmdapi.NeverExecInteractiveMode,
				}
				return config
			},
			problem: ClusterNoCredentials,
			says:    "no credentials for the API server SERVER: getting credentials: exec: executable mesh-trace-no-such-plugin not found",
		},
		{
			name: "a config that makes no sense",
			config: func(_ *testing.T, s *loadtest.Server) *rest.Config {
				config := s.Config()
				config.TLSClientConfig = rest.TLSClientConfig{Insecure: true, CAFile: "/nowhere"}
				return config
			},
			problem: ClusterBadConfig,
			says:    "no client can be made for the API server SERVER: ",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := loadtest.New(t)
			config := tt.config(t, s)
			in, err := Cluster(t.Context(), config, ClusterOptions{})
			var got *ClusterError
			if !errors.As(err, &got) {
				t.Fatalf("error %v (%d resources), want a ClusterError", err, len(in.Resources))
			}
			if got.Problem != tt.problem {
				t.Errorf("problem %q, want %q: %v", got.Problem, tt.problem, err)
			}
			if want := strings.ReplaceAll(tt.says, "SERVER", config.Host); !strings.HasPrefix(err.Error(), want) {
				t.Errorf("error\n%s\nwant\n%s", err, want)
			}
			if strings.Contains(err.Error(), "\n") || got.Unwrap() == nil {
				t.Errorf("error %q is not one line with a cause", err)
			}
		})
	}
}

func refusing(path string, code int) func(*testing.T, *loadtest.Server) *rest.Config {
	return func(_ *testing.T, s *loadtest.Server) *rest.Config {
		s.Refuse(path, code)
		return s.Config()
	}
}

// startTLS serves the stub under a certificate made on the spot.
func startTLS(t *testing.T, s *loadtest.Server) string {
	t.Helper()
	server := httptest.NewUnstartedServer(s)
	server.Config.ErrorLog = silent()
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.URL
}

// The caller's own deadline is the caller's, not a problem of the cluster.
func TestClusterDeadlineOfTheCaller(t *testing.T) {
	s := loadtest.New(t)
	s.Answer = func(_ http.ResponseWriter, r *http.Request) bool {
		<-r.Context().Done()
		return true
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := Cluster(ctx, s.Config(), ClusterOptions{})
	var named *ClusterError
	if !errors.Is(err, context.DeadlineExceeded) || errors.As(err, &named) {
		t.Errorf("error %v, want the context's", err)
	}
}

func TestClusterErrorKeepsItsCause(t *testing.T) {
	s := loadtest.New(t)
	s.Refuse("/api", http.StatusUnauthorized)
	_, err := Cluster(t.Context(), s.Config(), ClusterOptions{})
	if !apierrors.IsUnauthorized(err) {
		t.Errorf("the cause of %v is lost", err)
	}
}

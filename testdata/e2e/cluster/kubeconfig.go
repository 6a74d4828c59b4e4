package cluster

import (
	"os"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// Token is a bearer token, and TokenUser whose it is.
const (
	Token     = "e2e-token"
	TokenUser = "token-user"
)

// Kubeconfig is the path of a kubeconfig file for a user of these groups, known by a client certificate. The empty user
// is the administrator.
func (c *Cluster) Kubeconfig(t testing.TB, user string, groups ...string) string {
	t.Helper()
	if user == "" {
		return WriteKubeconfig(t, c.Config)
	}
	return WriteKubeconfig(t, c.ConfigFor(t, user, time.Now().Add(24*time.Hour), groups...))
}

// ConfigFor is how a user of these groups connects, with a certificate that is valid until then.
func (c *Cluster) ConfigFor(t testing.TB, user string, until time.Time, groups ...string) *rest.Config {
	t.Helper()
	certificate, key, err := c.authority.client(user, groups, until)
	if err != nil {
		t.Fatal(err)
	}
	config := rest.CopyConfig(c.Config)
	config.CertData, config.KeyData = certificate, key
	return config
}

// ConfigWithToken is how the owner of a bearer token connects; [Token] is one that the cluster knows.
func (c *Cluster) ConfigWithToken(token string) *rest.Config {
	config := rest.CopyConfig(c.Config)
	config.CertData, config.KeyData, config.BearerToken = nil, nil, token
	return config
}

// WriteKubeconfig writes a kubeconfig file of one context and returns its path.
func WriteKubeconfig(t testing.TB, config *rest.Config) string {
	t.Helper()
	file := api.NewConfig()
	file.Clusters["e2e"] = &api.Cluster{Server: config.Host, CertificateAuthorityData: config.CAData}
	file.AuthInfos["e2e"] = &api.AuthInfo{ClientCertificateData: config.CertData, ClientKeyData: config.KeyData, Token: config.BearerToken}
	file.Contexts["e2e"] = &api.Context{Cluster: "e2e", AuthInfo: "e2e"}
	file.CurrentContext = "e2e"
	f, err := os.CreateTemp(t.TempDir(), "kubeconfig-")
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := clientcmd.WriteToFile(*file, f.Name()); err != nil {
		t.Fatal(err)
	}
	return f.Name()
}

package proxies

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/url"
	"strings"
	"sync"
	"time"
)

// authority signs certificates. There are two: the mesh's, which proxies trust for each other, and another, which is
// behind every certificate that is not the mesh's.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	// text is the certificate as PEM.
	text string

	mutex  sync.Mutex
	issued map[string]issued
}

// issued is a certificate and its key, as PEM and as Go's TLS takes them.
type issued struct {
	certificate, key string
	pair             tls.Certificate
}

// authorities are the mesh's and the other.
var authorities = sync.OnceValues(func() (both [2]*authority, err error) {
	for i, name := range []string{"mesh", "other"} {
		if both[i], err = newAuthority(name); err != nil {
			return both, err
		}
	}
	return both, nil
})

func newAuthority(name string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := certificateTemplate(name)
	template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	return &authority{certificate: certificate, key: key, text: inPEM("CERTIFICATE", der), issued: map[string]issued{}}, err
}

func certificateTemplate(name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
}

func inPEM(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// issue makes a certificate for names: URIs, or hosts.
func (a *authority) issue(names ...string) (issued, error) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	all := strings.Join(names, "\n")
	if made, ok := a.issued[all]; ok {
		return made, nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return issued{}, err
	}
	template := certificateTemplate("test")
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	for _, name := range names {
		if u, err := url.Parse(name); err == nil && strings.Contains(name, "://") {
			template.URIs = append(template.URIs, u)
		} else if ascii(name) {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, &key.PublicKey, a.key)
	if err != nil {
		return issued{}, err
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return issued{}, err
	}
	made := issued{
		certificate: inPEM("CERTIFICATE", der), key: inPEM("EC PRIVATE KEY", private),
		pair: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: crypto.PrivateKey(key)},
	}
	a.issued[all] = made
	return made, nil
}

// ascii reports whether a name can stand in a certificate.
func ascii(name string) bool {
	return !strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' })
}

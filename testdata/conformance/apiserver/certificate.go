package apiserver

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8sgateway "sigs.k8s.io/gateway-api/apis/v1"
)

// Secrets and ConfigMaps that manifests name and leave out: people keep them elsewhere, and the tracer takes them to
// be there and in order. They hold a certificate made for the test. A Secret whose name is another namespace's is not made: the
// tracer takes it not to be there.

// pair is a certificate that signs itself, and its key.
type pair struct{ certificate, key []byte }

var throwaway = sync.OnceValues(func() (pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return pair{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: created, NotAfter: created.Add(50 * 365 * 24 * time.Hour), DNSNames: []string{"*.example.com"},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return pair{}, err
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return pair{}, err
	}
	return pair{
		certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		key:         pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: private}),
	}, nil
})

// addCertificates makes what listeners refer to.
func (c *Cluster) addCertificates() error {
	made, err := throwaway()
	if err != nil {
		return err
	}
	there, elsewhere := map[string]bool{}, map[string]bool{}
	for _, o := range c.Objects {
		switch x := o.(type) {
		case *corev1.Secret:
			elsewhere[x.Name] = true
			there["Secret "+x.Namespace+"/"+x.Name] = true
		case *corev1.ConfigMap:
			there["ConfigMap "+x.Namespace+"/"+x.Name] = true
		}
	}
	add := func(kind k8sgateway.Kind, own string, namespace *k8sgateway.Namespace, name k8sgateway.ObjectName) {
		if namespace != nil {
			own = string(*namespace)
		}
		meta := metav1.ObjectMeta{Namespace: own, Name: string(name), CreationTimestamp: metav1.NewTime(created)}
		if key := string(kind) + " " + own + "/" + string(name); there[key] || kind == "Secret" && elsewhere[string(name)] {
			return
		} else if there[key] = true; kind == "Secret" {
			c.Objects = append(c.Objects, &corev1.Secret{
				TypeMeta: metav1.TypeMeta{Kind: "Secret", APIVersion: "v1"}, ObjectMeta: meta, Type: corev1.SecretTypeTLS,
				Data: map[string][]byte{"tls.crt": made.certificate, "tls.key": made.key, "ca.crt": made.certificate},
			})
		} else if kind == "ConfigMap" {
			c.Objects = append(c.Objects, &corev1.ConfigMap{
				TypeMeta: metav1.TypeMeta{Kind: "ConfigMap", APIVersion: "v1"}, ObjectMeta: meta, Data: map[string]string{"ca.crt": string(made.certificate)},
			})
		}
	}
	for _, o := range c.Objects {
		switch x := o.(type) {
		case *k8sgateway.Gateway:
			for _, l := range x.Spec.Listeners {
				addListenerCertificates(add, x.Namespace, l.TLS)
			}
			if x.Spec.TLS != nil && x.Spec.TLS.Frontend != nil {
				validations := []*k8sgateway.FrontendTLSValidation{x.Spec.TLS.Frontend.Default.Validation}
				for _, p := range x.Spec.TLS.Frontend.PerPort {
					validations = append(validations, p.TLS.Validation)
				}
				for _, v := range validations {
					if v == nil {
						continue
					}
					for _, ref := range v.CACertificateRefs {
						add(ref.Kind, x.Namespace, ref.Namespace, ref.Name)
					}
				}
			}
		case *k8sgateway.ListenerSet:
			for _, l := range x.Spec.Listeners {
				addListenerCertificates(add, x.Namespace, l.TLS)
			}
		case *k8sgateway.BackendTLSPolicy:
			for _, ref := range x.Spec.Validation.CACertificateRefs {
				add(ref.Kind, x.Namespace, nil, ref.Name)
			}
		}
	}
	return nil
}

func addListenerCertificates(add func(k8sgateway.Kind, string, *k8sgateway.Namespace, k8sgateway.ObjectName), namespace string, tls *k8sgateway.ListenerTLSConfig) {
	if tls == nil {
		return
	}
	for _, ref := range tls.CertificateRefs {
		kind := k8sgateway.Kind("Secret")
		if ref.Kind != nil {
			kind = *ref.Kind
		}
		add(kind, namespace, ref.Namespace, ref.Name)
	}
}

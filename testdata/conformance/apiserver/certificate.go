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

// certificateRef is what a listener or policy refers to.
type certificateRef struct{ kind, namespace, name string }

// addCertificates makes what listeners and policies refer to; the Secrets get their certificates from secrets.
func (c *Cluster) addCertificates() error {
	made, err := throwaway()
	if err != nil {
		return err
	}
	there, elsewhere := map[certificateRef]bool{}, map[string]bool{}
	for _, o := range c.Objects {
		switch x := o.(type) {
		case *corev1.Secret:
			there[certificateRef{"Secret", x.Namespace, x.Name}], elsewhere[x.Name] = true, true
		case *corev1.ConfigMap:
			there[certificateRef{"ConfigMap", x.Namespace, x.Name}] = true
		}
	}
	for _, ref := range c.certificateRefs() {
		if there[ref] || ref.kind == "Secret" && elsewhere[ref.name] {
			continue
		}
		there[ref] = true
		meta := metav1.ObjectMeta{Namespace: ref.namespace, Name: ref.name, CreationTimestamp: metav1.NewTime(created)}
		switch ref.kind {
		case "Secret":
			c.Objects = append(c.Objects, &corev1.Secret{TypeMeta: metav1.TypeMeta{Kind: "Secret", APIVersion: "v1"}, ObjectMeta: meta, Type: corev1.SecretTypeTLS})
		case "ConfigMap":
			c.Objects = append(c.Objects, &corev1.ConfigMap{
				TypeMeta: metav1.TypeMeta{Kind: "ConfigMap", APIVersion: "v1"}, ObjectMeta: meta, Data: map[string]string{"ca.crt": string(made.certificate)},
			})
		}
	}
	return nil
}

// certificateRefs are the references of Gateways, ListenerSets and BackendTLSPolicies.
func (c *Cluster) certificateRefs() []certificateRef {
	var out []certificateRef
	add := func(kind k8sgateway.Kind, own string, namespace *k8sgateway.Namespace, name k8sgateway.ObjectName) {
		out = append(out, certificateRef{string(kind), namespaceOr(namespace, own), string(name)})
	}
	listener := func(own string, tls *k8sgateway.ListenerTLSConfig) {
		if tls == nil {
			return
		}
		for _, ref := range tls.CertificateRefs {
			kind := k8sgateway.Kind("Secret")
			if ref.Kind != nil {
				kind = *ref.Kind
			}
			add(kind, own, ref.Namespace, ref.Name)
		}
	}
	frontend := func(own string, gw *k8sgateway.Gateway) {
		for _, v := range frontendValidations(gw) {
			for _, ref := range v.CACertificateRefs {
				add(ref.Kind, own, ref.Namespace, ref.Name)
			}
		}
	}
	for _, o := range c.Objects {
		switch x := o.(type) {
		case *k8sgateway.Gateway:
			for _, l := range x.Spec.Listeners {
				listener(x.Namespace, l.TLS)
			}
			frontend(x.Namespace, x)
		case *k8sgateway.ListenerSet:
			for _, l := range x.Spec.Listeners {
				listener(x.Namespace, l.TLS)
			}
			for _, p := range c.Objects { // istiod looks for the authorities of the Gateway in the set's namespace
				if gw, ok := p.(*k8sgateway.Gateway); ok && gw.Name == string(x.Spec.ParentRef.Name) && gw.Namespace == namespaceOr(x.Spec.ParentRef.Namespace, x.Namespace) {
					frontend(x.Namespace, gw)
				}
			}
		case *k8sgateway.BackendTLSPolicy:
			for _, ref := range x.Spec.Validation.CACertificateRefs {
				add(ref.Kind, x.Namespace, nil, ref.Name)
			}
		}
	}
	return out
}

func frontendValidations(gw *k8sgateway.Gateway) []*k8sgateway.FrontendTLSValidation {
	if gw.Spec.TLS == nil || gw.Spec.TLS.Frontend == nil {
		return nil
	}
	var out []*k8sgateway.FrontendTLSValidation
	if v := gw.Spec.TLS.Frontend.Default.Validation; v != nil {
		out = append(out, v)
	}
	for _, p := range gw.Spec.TLS.Frontend.PerPort {
		if p.TLS.Validation != nil {
			out = append(out, p.TLS.Validation)
		}
	}
	return out
}

package gatewayapi

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	k8sgateway "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/gateway-api/conformance/utils/roundtripper"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// What certificates hold is no business of the tracer: it says who opens TLS to whom, and which policy or listener names
// the authority. The network, which this is, then looks whether the certificates are good.

// pair is the certificate of a Secret; false where it holds none.
func (c *Cluster) pair(namespace, name string) (tls.Certificate, bool) {
	secret := &corev1.Secret{}
	if !c.read(namespace, name, secret) {
		return tls.Certificate{}, false
	}
	pair, err := tls.X509KeyPair(secret.Data[corev1.TLSCertKey], secret.Data[corev1.TLSPrivateKeyKey])
	return pair, err == nil
}

// holdsNothing reports whether a Secret for TLS holds no certificate. istiod takes it for none; the tracer, which does not
// look into Secrets, is not told of it.
func (c *Cluster) holdsNothing(namespace, name string) bool {
	secret := &corev1.Secret{}
	_, holds := c.pair(namespace, name)
	return c.read(namespace, name, secret) && secret.Type == corev1.SecretTypeTLS && !holds
}

// authority are the certificates of a ConfigMap; false where it holds none.
func (c *Cluster) authority(namespace, name string) (*x509.CertPool, bool) {
	m, pool := &corev1.ConfigMap{}, x509.NewCertPool()
	return pool, c.read(namespace, name, m) && pool.AppendCertsFromPEM([]byte(m.Data["ca.crt"]))
}

// podCertificate is that of the suite's servers: the Secret that the pods mount.
func (c *Cluster) podCertificate(workload resolve.Ref) (tls.Certificate, bool) {
	d := &appsv1.Deployment{}
	if !c.read(workload.Namespace, workload.Name, d) || len(d.Spec.Template.Spec.Volumes) == 0 {
		return tls.Certificate{}, false
	}
	return c.pair(workload.Namespace, d.Spec.Template.Spec.Volumes[0].Secret.SecretName)
}

// trustsBackend reports why a gateway does not take the certificate of a pod to which it opens TLS as a policy says.
func (c *Cluster) trustsBackend(t *trace.Trace, o trace.Outcome) error {
	for _, h := range o.Hops {
		for _, s := range t.Hops[h].Steps {
			if s.Rule != resolve.RuleClientTLSSimple || s.Ref.Kind != "BackendTLSPolicy" {
				continue
			}
			policy := &k8sgateway.BackendTLSPolicy{}
			if !c.read(s.Ref.Namespace, s.Ref.Name, policy) {
				return fmt.Errorf("no %s", s.Ref)
			}
			return c.proves(policy, o.Destination.Workloads[0])
		}
	}
	return nil
}

// proves reports why a pod's certificate is not what a policy asks for.
func (c *Cluster) proves(policy *k8sgateway.BackendTLSPolicy, workload resolve.Ref) error {
	v := policy.Spec.Validation
	roots, ok := c.authority(policy.Namespace, string(v.CACertificateRefs[0].Name))
	pair, held := c.podCertificate(workload)
	if !ok || !held {
		return fmt.Errorf("%s or %s has no certificate", v.CACertificateRefs[0].Name, workload)
	}
	leaf := pair.Leaf
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots}); err != nil {
		return err
	}
	if len(v.SubjectAltNames) == 0 {
		return leaf.VerifyHostname(string(v.Hostname))
	}
	for _, san := range v.SubjectAltNames {
		if san.Type == k8sgateway.HostnameSubjectAltNameType && leaf.VerifyHostname(string(san.Hostname)) == nil {
			return nil
		}
		for _, uri := range leaf.URIs {
			if san.Type == k8sgateway.URISubjectAltNameType && uri.String() == string(san.URI) {
				return nil
			}
		}
	}
	return fmt.Errorf("none of the names of %s is asked for", workload)
}

// clientCertificate is the one that a client would present, and the name in it.
func clientCertificate(q roundtripper.Request) (*x509.Certificate, string, error) {
	if q.GetClientCertificateHook == nil {
		return nil, "", nil
	}
	pair, err := q.GetClientCertificateHook(&tls.CertificateRequestInfo{})
	if err != nil {
		return nil, "", err
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return nil, "", err
	}
	return leaf, slices.Concat(leaf.DNSNames, []string{leaf.Subject.CommonName, "client"})[0], nil
}

// trustsClient reports why a gateway does not take a client's certificate.
func (c *Cluster) trustsClient(t *trace.Trace, o trace.Outcome, leaf *x509.Certificate) error {
	for _, h := range o.Hops {
		for _, s := range t.Hops[h].Steps {
			if s.Rule != resolve.RuleGatewayClientCert || s.Args[0] == "SIMPLE" {
				continue
			}
			gw, index := &k8sgateway.Gateway{}, 0
			if _, err := fmt.Sscanf(s.Ref.Field, "spec.listeners[%d]", &index); err != nil || !c.read(s.Ref.Namespace, s.Ref.Name, gw) {
				return fmt.Errorf("no listener at %s", s.Ref)
			}
			config := gw.Spec.TLS.Frontend.Default
			for _, p := range gw.Spec.TLS.Frontend.PerPort {
				if p.Port == gw.Spec.Listeners[index].Port {
					config = p.TLS
				}
			}
			if config.Validation.Mode == k8sgateway.AllowInsecureFallback {
				return nil
			}
			roots, ok := c.authority(gw.Namespace, string(config.Validation.CACertificateRefs[0].Name))
			if !ok {
				return fmt.Errorf("%s has no authority", s.Ref)
			}
			_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
			return err
		}
	}
	return fmt.Errorf("no gateway asks for a client certificate")
}

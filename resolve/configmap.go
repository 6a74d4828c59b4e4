package resolve

import (
	"cmp"
	"crypto/x509"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// A ConfigMap that holds the certificate of an authority, for a BackendTLSPolicy or for the clients of a Gateway, or the root
// certificates of the mesh (rootcertificate.go).
//
//  1. What was handed over with the resources counts; else a cluster is asked for that one, when it is needed. Manifests
//     say nothing of one that they leave out: it is taken to be there, and to hold what it should.
//  2. The certificate stands under cacert, else under ca.crt; one that is empty is none. Of the root certificates under
//     root-cert.pem their digests are kept, of anything else of a ConfigMap nothing.
//
// Source: pilot/pkg/credentials/kube/secrets.go, ExtractRootFromString.
type ConfigMap struct {
	// Found is set where it is there.
	Found bool
	// Authority is the certificate; empty where it has none.
	Authority string
	// Roots are the digests of the root certificates, sorted.
	Roots []string
	// Unknown is why nothing is known of it; nil where it is.
	Unknown *Gap
}

// authorityKeys are those of the certificate, the first before the second.
var authorityKeys = []string{"cacert", "ca.crt"}

// ConfigMapKeys are those of which something is read.
var ConfigMapKeys = append([]string{RootCertificateKey}, authorityKeys...)

// Rules of ConfigMaps.
const (
	RuleConfigMapUnread    RuleID = "configmap/not-read"
	RuleConfigMapAssumed   RuleID = "configmap/not-among-manifests"
	RuleConfigMapWrong     RuleID = "configmap/no-certificate"
	RuleConfigMapMalformed RuleID = "configmap/malformed"
)

var configMapRules = []Rule{
	{
		ID: RuleConfigMapUnread, Stage: StageTLS,
		Says:     "A ConfigMap with the certificate of an authority that the tool may not or cannot read is taken to be there, and to hold it.",
		Template: "%s could not be read (%s: %s): taken to be there, with the certificate of an authority",
		Source:   "assumption of the tool",
	},
	{
		ID: RuleConfigMapAssumed, Stage: StageTLS, Detail: true,
		Says:     "Manifests may leave out a ConfigMap with the certificate of an authority: it is taken to be there.",
		Template: "is not among the manifests: taken to be there, with the certificate of an authority",
		Source:   "assumption of the tool",
	},
	{
		ID: RuleConfigMapMalformed, Stage: StageTLS,
		Says:     "istiod hands on the authority of a BackendTLSPolicy without looking at it; Envoy refuses one that is no certificate, and closes the connections that need it.",
		Template: "%s: Envoy refuses it, and every connection that needs it fails",
		Source:   "pilot/pkg/config/kube/gateway/backend_policies.go, getBackendTLSCredentialName; Envoy, source/common/tls/cert_validator/default_validator.cc",
	},
	{
		ID: RuleConfigMapWrong, Stage: StageTLS,
		Says:     "A ConfigMap for an authority has its certificate under cacert or ca.crt.",
		Template: "%s",
		Source:   "pilot/pkg/credentials/kube/secrets.go, ExtractRootFromString",
	},
}

// NewConfigMap is a ConfigMap of which its name, the certificate of an authority, and the digests of root certificates are kept.
func NewConfigMap(namespace, name string, data map[string]string) *corev1.ConfigMap {
	o := &corev1.ConfigMap{}
	o.Kind, o.APIVersion, o.Namespace, o.Name = "ConfigMap", "v1", namespace, name
	for _, key := range authorityKeys {
		if data[key] != "" {
			o.Data = map[string]string{key: data[key]}
			break
		}
	}
	if roots := RootCertificates(data[RootCertificateKey]); len(roots) > 0 {
		if o.Data == nil {
			o.Data = map[string]string{}
		}
		o.Data[RootCertificateKey] = strings.Join(roots, "\n")
	}
	return o
}

// ConfigMapOf is what is known of a ConfigMap.
func ConfigMapOf(o *corev1.ConfigMap) ConfigMap {
	out := ConfigMap{Found: true, Roots: RootCertificates(o.Data[RootCertificateKey])}
	for _, key := range authorityKeys {
		out.Authority = cmp.Or(out.Authority, o.Data[key])
	}
	return out
}

// authority is what is known of the certificate in a ConfigMap.
type authority struct {
	// wrong says why it can not be used; empty if it can.
	wrong string
	// malformed is set where it is no certificate, which istiod does not look at for a BackendTLSPolicy.
	malformed bool
	// steps tell of the ConfigMap, or that it could not be read.
	steps []Step
}

func (s *Snapshot) authority(namespace, name string) authority {
	ref := Ref{Kind: "ConfigMap", Namespace: namespace, Name: name}
	var m ConfigMap
	switch o, given := objectNamed(s.ConfigMaps, namespace, name); {
	case given:
		m = ConfigMapOf(o)
	case s.askConfigMap == nil:
		return authority{steps: []Step{NewStep(RuleConfigMapAssumed, Applied, ref)}}
	default:
		m = s.askConfigMap(namespace, name)
	}
	wrong := func(what string, malformed bool) authority {
		return authority{ref.String() + " " + what, malformed, []Step{NewStep(RuleConfigMapWrong, Skipped, ref, what)}}
	}
	switch {
	case m.Unknown != nil:
		return authority{steps: []Step{NewStep(RuleConfigMapUnread, Warned, ref, ref, string(m.Unknown.Reason), m.Unknown.Detail)}}
	case !m.Found:
		return authority{wrong: ref.String() + " does not exist"}
	case m.Authority == "":
		return wrong("has no certificate under cacert or ca.crt", false)
	case !IsCertificate(m.Authority):
		return wrong("holds no certificate that can be read", true)
	}
	return authority{}
}

// IsCertificate reports whether a text has a certificate that can be read.
func IsCertificate(text string) bool { return x509.NewCertPool().AppendCertsFromPEM([]byte(text)) }

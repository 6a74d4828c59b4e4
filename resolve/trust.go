package resolve

import (
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	certificatesv1beta1 "k8s.io/api/certificates/v1beta1"
	corev1 "k8s.io/api/core/v1"
)

// Who signs the certificates of workloads, and by what they are trusted: facts about mTLS, which decide nothing here, since
// every proxy is taken to have its certificate.
//
//  1. istiod signs by itself, unless its variable EXTERNAL_CA is ISTIOD_RA_KUBERNETES_API: then it makes a
//     CertificateSigningRequest for each certificate, approves it, and the signer of CERT_SIGNER_DOMAIN or K8S_SIGNER signs.
//  2. A request that is denied, that failed, or that nobody has signed is a workload without a certificate.
//  3. With ENABLE_CLUSTER_TRUST_BUNDLE_API proxies read the root certificate from the ClusterTrustBundle that istiod
//     writes; without the bundle no new pod starts.
//
// Source: pilot/pkg/bootstrap/istio_ca.go; security/pkg/k8s/chiron/utils.go, SignCSRK8s;
// pilot/pkg/config/kube/clustertrustbundle/controller.go; files/injection-template.yaml, volume istiod-ca-cert.

// Rules of trust.
const (
	RuleTrustSigner        RuleID = "trust/kubernetes-signs"
	RuleTrustRequests      RuleID = "trust/requests-unsigned"
	RuleTrustBundle        RuleID = "trust/bundle"
	RuleTrustBundleMissing RuleID = "trust/bundle-missing"
)

// StageTrust is about certificates and who is trusted to sign them.
const StageTrust Stage = "Trust"

const trustBundle = "istio.io:istiod-ca:root-cert"

var trustRules = []Rule{
	{
		ID: RuleTrustSigner, Stage: StageTrust,
		Says:     "With EXTERNAL_CA ISTIOD_RA_KUBERNETES_API istiod signs no certificate of a workload: a signer of Kubernetes does.",
		Template: "the certificates of both sides are signed by %s, which istiod asks by CertificateSigningRequests",
		Source:   "pilot/pkg/bootstrap/istio_ca.go; security/pkg/k8s/chiron/utils.go, SignCSRK8s",
	},
	{
		ID: RuleTrustRequests, Stage: StageTrust,
		Says:     "A workload whose CertificateSigningRequest is denied, has failed, or is not signed gets no certificate: it does not become ready.",
		Template: "%d of %d requests of istiod to %s %s: their workloads have no certificate",
		Source:   "security/pkg/k8s/chiron/utils.go, SignCSRK8s",
	},
	{
		ID: RuleTrustBundle, Stage: StageTrust,
		Says:     "With ENABLE_CLUSTER_TRUST_BUNDLE_API proxies trust what stands in istiod's ClusterTrustBundle.",
		Template: "both sides trust the certificates of this bundle (signer %s)",
		Source:   "pilot/pkg/config/kube/clustertrustbundle/controller.go",
	},
	{
		ID: RuleTrustBundleMissing, Stage: StageTrust,
		Says:     "With ENABLE_CLUSTER_TRUST_BUNDLE_API the pods mount istiod's ClusterTrustBundle; without it no new one starts.",
		Template: "istiod is told to write it (%s), and it is not there: new pods with a proxy do not start",
		Source:   "files/injection-template.yaml, volume istiod-ca-cert",
	},
}

const (
	variableExternalCA   = "EXTERNAL_CA"
	variableSignerDomain = "CERT_SIGNER_DOMAIN"
	variableSigner       = "K8S_SIGNER"
	kubernetesSigns      = "ISTIOD_RA_KUBERNETES_API"
	featureTrustBundle   = "ENABLE_CLUSTER_TRUST_BUNDLE_API"
	requestPrefix        = "csr-workload-"
	istiodContainer      = "discovery"
)

// TrustFacts are what stands behind an mTLS connection of the mesh.
func (s *Snapshot) TrustFacts() []Step {
	var steps []Step
	if kind, ref := s.istiodVariable(variableExternalCA); kind == kubernetesSigns {
		steps = append(steps, s.signer(ref)...)
	}
	if s.istiodMaySet(featureTrustBundle) {
		if f := s.feature(featureTrustBundle); f.on {
			steps = append(steps, s.bundle(f))
		}
	}
	return steps
}

// istiodVariable is a variable of istiod that is no switch, and the Deployment that has it.
func (s *Snapshot) istiodVariable(name string) (string, Ref) {
	if !s.istiodMaySet(name) {
		return "", Ref{}
	}
	d := s.index.istiod()
	if d == nil {
		return "", Ref{}
	}
	for _, c := range d.Spec.Template.Spec.Containers {
		for _, e := range c.Env {
			if c.Name == istiodContainer && e.Name == name {
				return e.Value, refOf(appsv1.GroupName, "Deployment", d).At("spec.template.spec.containers")
			}
		}
	}
	return "", Ref{}
}

// istiodMaySet reports whether it takes a look at istiod's Deployment to tell that it does not set the variable.
func (s *Snapshot) istiodMaySet(name string) bool { return s.istiodSets == nil || s.istiodSets[name] }

// signer is rules 1 and 2.
func (s *Snapshot) signer(at Ref) []Step {
	name, _ := s.istiodVariable(variableSigner)
	if domain, _ := s.istiodVariable(variableSignerDomain); domain != "" {
		name = domain + "/…"
	}
	steps := []Step{NewStep(RuleTrustSigner, Applied, at, "signer "+name)}
	all, unsigned := 0, map[string][]*certificatesv1.CertificateSigningRequest{}
	for _, r := range objectsOf[*certificatesv1.CertificateSigningRequest](s.RunningIn(""), requestKind) {
		if !strings.HasPrefix(r.Name, requestPrefix) && r.GenerateName != requestPrefix {
			continue
		}
		all++
		if state := requestState(r); state != "" {
			unsigned[state] = append(unsigned[state], r)
		}
	}
	for _, state := range sortedKeys(unsigned) {
		first := unsigned[state][0]
		steps = append(steps, NewStep(RuleTrustRequests, Warned, refOf(certificatesv1.GroupName, "CertificateSigningRequest", first).At("status.conditions"),
			len(unsigned[state]), all, first.Spec.SignerName, state))
	}
	return steps
}

// requestState is why a request has no certificate; "" for one that has.
func requestState(r *certificatesv1.CertificateSigningRequest) string {
	has := func(kind certificatesv1.RequestConditionType) (string, bool) {
		i := slices.IndexFunc(r.Status.Conditions, func(c certificatesv1.CertificateSigningRequestCondition) bool {
			return c.Type == kind && c.Status != corev1.ConditionFalse
		})
		if i < 0 {
			return "", false
		}
		return r.Status.Conditions[i].Reason, true
	}
	because := func(word, reason string) string {
		if reason == "" {
			return word
		}
		return fmt.Sprintf("%s (%s)", word, reason)
	}
	if reason, denied := has(certificatesv1.CertificateDenied); denied {
		return because("are denied", reason)
	}
	if reason, failed := has(certificatesv1.CertificateFailed); failed {
		return because("have failed", reason)
	}
	_, approved := has(certificatesv1.CertificateApproved)
	switch {
	case len(r.Status.Certificate) > 0:
		return ""
	case approved:
		return "are approved and not signed"
	}
	return "wait for approval"
}

// bundle is rule 3.
func (s *Snapshot) bundle(f feature) Step {
	for _, b := range objectsOf[*certificatesv1beta1.ClusterTrustBundle](s.RunningIn(""), trustBundleKind) {
		if b.Name == trustBundle {
			return NewStep(RuleTrustBundle, Applied, refOf(certificatesv1.GroupName, "ClusterTrustBundle", b).At("spec.trustBundle"), b.Spec.SignerName)
		}
	}
	return NewStep(RuleTrustBundleMissing, Warned, Ref{Group: certificatesv1.GroupName, Kind: "ClusterTrustBundle", Name: trustBundle}, f.variable)
}

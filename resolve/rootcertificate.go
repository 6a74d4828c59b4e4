package resolve

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// The root certificates by which proxies verify istiod: facts about mTLS, which decide nothing here. istiod signs what a proxy
// proves itself with, so that a proxy that cannot verify istiod has no certificate.
//
//  1. The leader of the istiods writes its root certificates to a ConfigMap of every namespace, istio-ca-root-cert (else what
//     PILOT_CA_CERT_CONFIGMAP says), under root-cert.pem, and writes it anew when it differs. kube-public, kube-node-lease and
//     local-path-storage are left out, and so is a namespace that no discoverySelector has.
//  2. Every pod with a proxy (sidecar, gateway, waypoint) mounts that of its namespace: without it the pod does not start, and with
//     other certificates the proxy does not connect to istiod. A proxy that runs keeps its certificate until that is renewed.
//  3. What counts is which certificates there are, in any order and layout.
//  4. With ENABLE_CLUSTER_TRUST_BUNDLE_API (trust.go), or another PILOT_CERT_PROVIDER than istiod, no pod mounts it.
//  5. Those of istiod's namespace are taken for the mesh's; where they are not known, those of the first namespace that are.
//
// Source: pilot/pkg/serviceregistry/kube/controller/namespacecontroller.go, reconcileCACertAndCRL; pkg/istio-agent/agent.go,
// FindRootCAForXDS; security/pkg/nodeagent/cache/secretcache.go, generateNewSecret; files/injection-template.yaml, volume
// istiod-ca-cert.

// Rules of root certificates.
const (
	RuleTrustRoots        RuleID = "trust/roots"
	RuleTrustRootsDiffer  RuleID = "trust/roots-differ"
	RuleTrustRootsMissing RuleID = "trust/roots-missing"
	RuleTrustRootsUnread  RuleID = "trust/roots-not-read"
)

// RootConfigMap is the ConfigMap with the root certificates, where istiod is not told another name, and RootCertificateKey where
// they stand in it.
const (
	RootConfigMap      = "istio-ca-root-cert"
	RootCertificateKey = "root-cert.pem"
)

const (
	variableRootConfigMap     = "PILOT_CA_CERT_CONFIGMAP"
	variableCertProvider      = "PILOT_CERT_PROVIDER"
	certProviderIstiod        = "istiod"
	namespaceControllerSource = "pilot/pkg/serviceregistry/kube/controller/namespacecontroller.go, reconcileCACertAndCRL"
)

var rootCertificateRules = []Rule{
	{
		ID: RuleTrustRoots, Stage: StageTrust,
		Says:     "istiod writes its root certificates to a ConfigMap of every namespace; by it the proxies of that namespace verify istiod, which signs their certificates.",
		Template: "the same root certificates as in %s (%d): the proxies of namespace %s verify istiod by them",
		Source:   namespaceControllerSource,
	},
	{
		ID: RuleTrustRootsDiffer, Stage: StageTrust,
		Says:     "A proxy whose namespace has other root certificates than istiod's does not connect to istiod, and gets neither configuration nor a certificate; one that runs keeps its certificate until it is renewed.",
		Template: "%s: %s",
		Source:   "pkg/istio-agent/agent.go, FindRootCAForXDS",
	},
	{
		ID: RuleTrustRootsMissing, Stage: StageTrust,
		Says:     "Every pod with a proxy mounts the ConfigMap with the root certificates of its namespace; without it no new one starts.",
		Template: "is not there: a new pod of namespace %s with a proxy waits for it, and does not start",
		Source:   "files/injection-template.yaml, volume istiod-ca-cert",
	},
	{
		ID: RuleTrustRootsUnread, Stage: StageTrust,
		Says:     "A ConfigMap with root certificates that the tool may not or cannot read is taken to have those of the mesh.",
		Template: "could not be read (%s: %s): taken to have the root certificates of the mesh",
		Source:   "assumption of the tool",
	},
}

// RootCertificates are the digests of the certificates in a text, sorted, each once. In their place the text may have
// the digests themselves, as a snapshot does.
func RootCertificates(text string) []string {
	var out []string
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type == "CERTIFICATE" {
			sum := sha256.Sum256(block.Bytes)
			out = append(out, digestPrefix+hex.EncodeToString(sum[:]))
		}
	}
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); digestPattern.MatchString(line) {
			out = append(out, line)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

const digestPrefix = "sha256:"

var digestPattern = regexp.MustCompile(`^` + digestPrefix + `[0-9a-f]{64}$`)

// IsIstiodDefault reports whether a variable of istiod has the value that Istio's chart gives it, which is that without it.
func IsIstiodDefault(name, value string) bool {
	return name == variableCertProvider && value == certProviderIstiod
}

// RootFacts are what stands behind the connection between proxies: the root certificates in their namespaces, where those are known.
func (s *Snapshot) RootFacts(proxies []Ref) []Step {
	provider, _ := s.istiodVariable(variableCertProvider)
	if s.istiodMaySet(featureTrustBundle) && s.feature(featureTrustBundle).on || cmp.Or(provider, certProviderIstiod) != certProviderIstiod {
		return nil
	}
	var namespaces []string
	for _, p := range proxies {
		if p.Cluster == s.cluster && p.Namespace != "" && !slices.Contains(namespaces, p.Namespace) {
			namespaces = append(namespaces, p.Namespace)
		}
	}
	if len(namespaces) == 0 {
		return nil
	}
	all := map[string]roots{}
	mesh := roots{}
	for _, ns := range append([]string{s.istiodNamespace()}, namespaces...) {
		if _, done := all[ns]; !done {
			all[ns] = s.roots(ns)
		}
		if len(mesh.digests) == 0 {
			mesh = all[ns]
		}
	}
	var steps []Step
	for _, ns := range namespaces {
		steps = append(steps, all[ns].against(mesh)...)
	}
	return steps
}

// roots is what is known of the root certificates in a namespace.
type roots struct {
	ref Ref
	// silent is set where manifests say nothing of the ConfigMap.
	silent  bool
	found   bool
	digests []string
	unknown *Gap
}

func (s *Snapshot) roots(namespace string) roots {
	name, _ := s.istiodVariable(variableRootConfigMap)
	name = cmp.Or(name, RootConfigMap)
	r := roots{ref: Ref{Kind: "ConfigMap", Namespace: namespace, Name: name}}
	var m ConfigMap
	switch o, given := objectNamed(s.ConfigMaps, namespace, name); {
	case given:
		m = ConfigMapOf(o)
	case s.askConfigMap == nil || s.cluster != "":
		r.silent = true
		return r
	default:
		m = s.askConfigMap(namespace, name)
	}
	r.found, r.digests, r.unknown = m.Found, m.Roots, m.Unknown
	return r
}

// against compares them with those of the mesh.
func (r roots) against(mesh roots) []Step {
	at := r.ref.At("data." + RootCertificateKey)
	switch lacks, own := without(mesh.digests, r.digests), without(r.digests, mesh.digests); {
	case r.silent:
		return nil
	case r.unknown != nil:
		return []Step{NewStep(RuleTrustRootsUnread, Warned, r.ref, string(r.unknown.Reason), r.unknown.Detail)}
	case !r.found:
		return []Step{NewStep(RuleTrustRootsMissing, Warned, r.ref, r.ref.Namespace)}
	case len(r.digests) == 0:
		return []Step{NewStep(RuleTrustRootsDiffer, Warned, at, "has no certificate", r.cannot("istiod"))}
	case len(lacks) > 0:
		what := fmt.Sprintf("has %d of the %d root certificates of %s", len(mesh.digests)-len(lacks), len(mesh.digests), mesh.ref)
		if len(own) > 0 {
			what += fmt.Sprintf(", and %d that are not among them", len(own))
		}
		return []Step{NewStep(RuleTrustRootsDiffer, Warned, at, what, r.cannot("an istiod whose certificate comes from what is missing"))}
	case len(own) > 0:
		return []Step{NewStep(RuleTrustRootsDiffer, Warned, at,
			fmt.Sprintf("has %d certificates that are not among the root certificates of %s", len(own), mesh.ref),
			"proxies of namespace "+r.ref.Namespace+" connect to an istiod of those as well")}
	}
	return []Step{NewStep(RuleTrustRoots, Applied, at, mesh.ref, len(mesh.digests), r.ref.Namespace)}
}

func (r roots) cannot(verify string) string {
	return "a proxy of namespace " + r.ref.Namespace + " that starts cannot verify " + verify +
		", and gets neither configuration nor a certificate; one that runs keeps its certificate until it is to be renewed"
}

// without are the elements that others do not have.
func without(all, others []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(d string) bool { return slices.Contains(others, d) })
}

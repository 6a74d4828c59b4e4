package resolve

import (
	"cmp"
	"slices"
	"strings"
	"time"

	networking "istio.io/api/networking/v1alpha3"
	"k8s.io/utils/ptr"
	k8sgateway "sigs.k8s.io/gateway-api/apis/v1"
)

// BackendTLSPolicies become DestinationRules. XBackendTrafficPolicies would too, with
// PILOT_ENABLE_ALPHA_GATEWAY_API, and say nothing that decides about a request (kubeinert.go).
//
//  1. targetRefs name Services or ServiceEntries of the policy's namespace; sectionName is the name of a port.
//     A target that does not exist, or has no such port, has no effect. With the annotation
//     istio.io/ignore-policy-attachment nothing of the policy counts.
//  2. Of several BackendTLSPolicies with the very same target the oldest counts, then the first by name.
//  3. TLS is SIMPLE with the hostname as server name and the subjectAltNames. The CA is that of the first reference,
//     which must be a ConfigMap that has one (configmap.go); without any, and for System, that of the system. A CA that cannot be
//     used is one that is never there.
//  4. All policies of one target and host make one DestinationRule, in the target's namespace, without age.
//  5. Where a user's DestinationRule has the same host the user's fields count, and the policies fill the gaps.
//
// Source: pilot/pkg/config/kube/gateway/backend_policies.go, DestinationRuleCollection, BackendTLSPolicyCollection;
// pilot/pkg/model/destination_rule.go, mergeBackendPolicyTrafficPolicy.

// Rules of backend policies.
const (
	RuleBackendPolicyTarget   RuleID = "backendpolicy/target-missing"
	RuleBackendPolicyConflict RuleID = "backendpolicy/conflict"
	RuleBackendPolicyIgnored  RuleID = "backendpolicy/ignored"
	RuleBackendPolicyCA       RuleID = "backendpolicy/ca"
	RuleBackendPolicyGap      RuleID = "backendpolicy/fills-gaps"
)

var backendPolicyRules = []Rule{
	{
		ID: RuleBackendPolicyTarget, Stage: StageDestinationRule,
		Says:     "A policy counts for the Services and ServiceEntries of its own namespace that its targetRefs name, with sectionName for the port of that name.",
		Template: "target %s %s (TargetNotFound)",
		Source:   "pilot/pkg/config/kube/gateway/backend_policies.go, BackendTLSPolicyCollection",
	},
	{
		ID: RuleBackendPolicyConflict, Stage: StageDestinationRule,
		Says:     "Of several BackendTLSPolicies with the very same target the oldest counts, then the first by name.",
		Template: "%s has the same target and comes first (Conflicted)",
		Source:   "pilot/pkg/config/kube/gateway/backend_policies.go, btlsIsConflicted",
	},
	{
		ID: RuleBackendPolicyIgnored, Stage: StageDestinationRule,
		Says:     "The annotation istio.io/ignore-policy-attachment takes a policy out.",
		Template: "the annotation istio.io/ignore-policy-attachment takes it out",
		Source:   "pilot/pkg/config/kube/gateway/backend_policies.go, BackendTLSPolicyCollection",
	},
	{
		ID: RuleBackendPolicyCA, Stage: StageDestinationRule,
		Says:     "The CA of a BackendTLSPolicy is the first of caCertificateRefs, which must be a ConfigMap with ca.crt or cacert; without that, and of another kind, it is a certificate that is never there.",
		Template: "the CA %s can not be used: %s",
		Source:   "pilot/pkg/config/kube/gateway/backend_policies.go, getBackendTLSCredentialName",
	},
	{
		ID: RuleBackendPolicyGap, Stage: StageDestinationRule,
		Says:     "Where a DestinationRule and a policy have the same host, the DestinationRule's fields count and the policy fills those it leaves out.",
		Template: "fills what %s leaves out: %s",
		Source:   "pilot/pkg/model/destination_rule.go, mergeBackendPolicyTrafficPolicy",
	},
}

// ignorePolicyAnnotation takes a policy out.
const ignorePolicyAnnotation = "istio.io/ignore-policy-attachment"

// backendPolicy is one target of one policy.
type backendPolicy struct {
	ref     Ref
	created time.Time
	target  Ref
	host    string
	// port is the number of the port that sectionName names; 0 for all.
	port uint32
	tls  *networking.ClientTLSSettings
}

// backendTarget is what a targetRef names.
type backendTarget struct {
	ref   Ref
	hosts []string
	ports []Port
}

// backendTarget finds the target of a policy of the namespace.
func (s *Snapshot) backendTarget(group, kind, namespace, name string) (backendTarget, bool) {
	switch (kindRef{group, kind}) {
	case kindRef{"", "Service"}:
		if svc, ok := s.KubeService(namespace, name); ok {
			return backendTarget{svc.Ref, []string{svc.Hostname}, svc.Ports}, true
		}
	case kindRef{istioNetworking, "ServiceEntry"}:
		o, ok := objectNamed(s.ServiceEntries, namespace, name)
		if !ok {
			break
		}
		t := backendTarget{ref: refOf(istioNetworking, "ServiceEntry", o), hosts: o.Spec.GetHosts()}
		for _, p := range o.Spec.GetPorts() {
			t.ports = append(t.ports, Port{Name: p.GetName(), Number: int(p.GetNumber())})
		}
		return t, true
	}
	return backendTarget{}, false
}

// backendPolicies are what the BackendTLSPolicies become.
type backendPolicies struct {
	// usable are the targets that get settings.
	usable []backendPolicy
	// steps are about what does not count, by what it names as target.
	steps map[Ref][]Step
	// conditions are what istiod publishes of each target.
	conditions []KubeCondition
}

// backendTLSPolicies are steps 1 to 3.
func (s *Snapshot) backendTLSPolicies() *backendPolicies {
	out := &backendPolicies{steps: s.trafficPolicies()}
	for _, o := range s.BackendTLSPolicies {
		ref := refOf(k8sgateway.GroupName, "BackendTLSPolicy", o)
		tls, resolved, ca := s.backendTLS(o, ref)
		accepted := ""
		if resolved != "" {
			accepted = string(k8sgateway.BackendTLSPolicyReasonNoValidCACertificate)
		}
		for i, t := range o.Spec.TargetRefs {
			at := ref.At(pathIndex("spec.targetRefs", i))
			named := Ref{Group: string(t.Group), Kind: string(t.Kind), Namespace: o.Namespace, Name: string(t.Name)}
			target, port, why := s.tlsPolicyTarget(o, t, named, at)
			switch {
			case why != nil:
				out.steps[named] = append(out.steps[named], *why)
				accepted = publishedReasons[why.Rule] // istiod writes it of the targets that follow, too
				for _, other := range s.namesakes(named, *why) {
					out.steps[other] = append(out.steps[other], NewStep(RuleBackendPolicyTarget, Skipped, at, named,
						"does not exist: a policy is for its own namespace "+o.Namespace+", not for "+other.Namespace))
				}
			default:
				out.steps[named] = append(out.steps[named], ca...)
			}
			out.conditions = append(out.conditions, condition(at, string(k8sgateway.PolicyConditionAccepted), string(k8sgateway.PolicyReasonAccepted), accepted))
			if why == nil || why.Rule != RuleBackendPolicyIgnored {
				out.conditions = append(out.conditions, condition(at, string(k8sgateway.BackendTLSPolicyConditionResolvedRefs), string(k8sgateway.BackendTLSPolicyReasonResolvedRefs), resolved))
			}
			for _, host := range target.hosts {
				out.usable = append(out.usable, backendPolicy{ref: ref, created: o.CreationTimestamp.Time, target: target.ref, host: host, port: port, tls: tls})
			}
		}
	}
	return out
}

// tlsPolicyTarget is what one targetRef of a policy names, and the port; or why it does not count.
func (s *Snapshot) tlsPolicyTarget(o *k8sgateway.BackendTLSPolicy, t k8sgateway.LocalPolicyTargetReferenceWithSectionName, named, at Ref) (backendTarget, uint32, *Step) {
	skip := func(rule RuleID, args ...any) (backendTarget, uint32, *Step) {
		step := NewStep(rule, Skipped, at, args...)
		return backendTarget{}, 0, &step
	}
	if strings.EqualFold(o.Annotations[ignorePolicyAnnotation], "true") {
		return skip(RuleBackendPolicyIgnored)
	}
	target, ok := s.backendTarget(string(t.Group), string(t.Kind), o.Namespace, string(t.Name))
	if !ok {
		return skip(RuleBackendPolicyTarget, named, "does not exist")
	}
	port, ok := target.section(t.SectionName)
	if !ok {
		return skip(RuleBackendPolicyTarget, named, "has no port called "+string(*t.SectionName))
	}
	if first := s.earlierTLSPolicy(o, t); first != nil {
		return skip(RuleBackendPolicyConflict, refOf(k8sgateway.GroupName, "BackendTLSPolicy", first))
	}
	return target, port, nil
}

// namesakes are the Services or ServiceEntries of other namespaces that have the name of a target that does not exist:
// whoever wrote the policy may have meant one of them.
func (s *Snapshot) namesakes(missing Ref, why Step) []Ref {
	if _, there := s.backendTarget(missing.Group, missing.Kind, missing.Namespace, missing.Name); there || why.Rule != RuleBackendPolicyTarget {
		return nil
	}
	var out []Ref
	switch (kindRef{missing.Group, missing.Kind}) {
	case kindRef{"", "Service"}:
		for _, svc := range s.KubeServices {
			if svc.Name == missing.Name {
				out = append(out, refOf("", "Service", svc))
			}
		}
	case kindRef{istioNetworking, "ServiceEntry"}:
		for _, o := range s.ServiceEntries {
			if o.Name == missing.Name {
				out = append(out, refOf(istioNetworking, "ServiceEntry", o))
			}
		}
	}
	return out
}

// section is the port that a sectionName names.
func (t backendTarget) section(name *k8sgateway.SectionName) (uint32, bool) {
	if name == nil || *name == "" {
		return 0, true
	}
	for _, p := range t.ports {
		if p.Name == string(*name) {
			return uint32(p.Number), true
		}
	}
	return 0, false
}

// earlierTLSPolicy is step 2: the policy with the same target that counts instead.
func (s *Snapshot) earlierTLSPolicy(o *k8sgateway.BackendTLSPolicy, target k8sgateway.LocalPolicyTargetReferenceWithSectionName) *k8sgateway.BackendTLSPolicy {
	for _, other := range s.BackendTLSPolicies {
		if other == o || other.Namespace != o.Namespace || strings.EqualFold(other.Annotations[ignorePolicyAnnotation], "true") {
			continue
		}
		same := slices.ContainsFunc(other.Spec.TargetRefs, func(t k8sgateway.LocalPolicyTargetReferenceWithSectionName) bool {
			return t.LocalPolicyTargetReference == target.LocalPolicyTargetReference &&
				(t.SectionName == nil) == (target.SectionName == nil) && ptr.Deref(t.SectionName, "") == ptr.Deref(target.SectionName, "")
		})
		if same && cmp.Or(compareTimes(other.CreationTimestamp.Time, o.CreationTimestamp.Time), cmp.Compare(other.Name, o.Name)) < 0 {
			return other
		}
	}
	return nil
}

// backendTLS is step 3; reason is what istiod publishes of a CA that can not be used.
func (s *Snapshot) backendTLS(o *k8sgateway.BackendTLSPolicy, ref Ref) (tls *networking.ClientTLSSettings, reason string, steps []Step) {
	v := o.Spec.Validation
	tls = &networking.ClientTLSSettings{Mode: networking.ClientTLSSettings_SIMPLE, Sni: string(v.Hostname)}
	for _, san := range v.SubjectAltNames {
		switch san.Type {
		case k8sgateway.HostnameSubjectAltNameType:
			tls.SubjectAltNames = append(tls.SubjectAltNames, string(san.Hostname))
		case k8sgateway.URISubjectAltNameType:
			tls.SubjectAltNames = append(tls.SubjectAltNames, string(san.URI))
		}
	}
	if v.WellKnownCACertificates != nil || len(v.CACertificateRefs) == 0 {
		return tls, "", nil
	}
	ca := v.CACertificateRefs[0]
	wrong := "a " + string(ca.Kind) + " is no ConfigMap"
	reason = string(k8sgateway.BackendTLSPolicyReasonInvalidKind)
	if ca.Group == "" && ca.Kind == "ConfigMap" {
		a := s.authority(o.Namespace, string(ca.Name))
		if a.wrong == "" || a.malformed {
			tls.CredentialName = schemeConfigMap + o.Namespace + "/" + string(ca.Name)
			return tls, "", a.steps
		}
		wrong, steps, reason = a.wrong, a.steps, string(k8sgateway.BackendTLSPolicyReasonInvalidCACertificateRef)
	}
	tls.CredentialName = schemeInvalid
	at := ref.At("spec.validation.caCertificateRefs[0]")
	return tls, reason, append(steps, NewStep(RuleBackendPolicyCA, Skipped, at, string(ca.Name), wrong))
}

// backendDestinationRules is step 4; the steps, by target, are about policies that do not count.
func (s *Snapshot) backendDestinationRules() ([]*destinationRuleSource, map[Ref][]Step) {
	all := s.backendTLSPolicies()
	slices.SortStableFunc(all.usable, func(a, b backendPolicy) int {
		return cmp.Or(compareTimes(a.created, b.created), cmp.Compare(a.ref.Namespace, b.ref.Namespace), cmp.Compare(a.ref.Name, b.ref.Name))
	})
	type key struct {
		target Ref
		host   string
	}
	byTarget := map[key]*destinationRuleSource{}
	var out []*destinationRuleSource
	for _, p := range all.usable {
		k := key{p.target, p.host}
		d := byTarget[k]
		if d == nil {
			d = &destinationRuleSource{
				ref: p.ref, host: p.host, spec: &networking.DestinationRule{Host: p.host, TrafficPolicy: &networking.TrafficPolicy{}},
				policy: true, tlsRefs: map[uint32]Ref{}, name: p.target.Name + "~" + kubeGatewayInfix,
			}
			if p.target.Kind == "ServiceEntry" {
				d.name = p.target.Name + "~" + strings.ReplaceAll(p.host, ".", "-") + "~" + kubeGatewayInfix
			}
			byTarget[k] = d
			out = append(out, d)
		}
		d.addPolicy(p)
	}
	slices.SortStableFunc(out, func(a, b *destinationRuleSource) int {
		return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.ref.Namespace, b.ref.Namespace))
	})
	return out, all.steps
}

// addPolicy lays one policy under those that came before.
func (d *destinationRuleSource) addPolicy(p backendPolicy) {
	tp := d.spec.TrafficPolicy
	if _, set := d.tlsRefs[p.port]; set {
		return
	}
	d.tlsRefs[p.port] = p.ref.At("spec.validation")
	if p.port == 0 {
		tp.Tls = p.tls
		return
	}
	tp.PortLevelSettings = append(tp.PortLevelSettings, &networking.TrafficPolicy_PortTrafficPolicy{
		Port: &networking.PortSelector{Number: p.port}, Tls: p.tls,
	})
}

// fillGaps is step 5: the user's policy with what it leaves out of the other.
// Source: pilot/pkg/model/destination_rule.go, mergeBackendPolicyTrafficPolicy, mergeBackendPolicyPortLevelSettings.
func fillGaps(user, policy *networking.TrafficPolicy) (merged *networking.TrafficPolicy, tlsPorts []uint32) {
	if user == nil {
		user = &networking.TrafficPolicy{}
	}
	merged = copyPolicy(user)
	if merged.Tls == nil && policy.GetTls() != nil {
		merged.Tls = policy.GetTls()
		tlsPorts = append(tlsPorts, 0)
	}
	for _, p := range user.GetPortLevelSettings() {
		merged.PortLevelSettings = append(merged.PortLevelSettings, p.DeepCopy())
	}
	for _, p := range policy.GetPortLevelSettings() {
		i := slices.IndexFunc(merged.PortLevelSettings, func(u *networking.TrafficPolicy_PortTrafficPolicy) bool {
			return u.GetPort().GetNumber() == p.GetPort().GetNumber()
		})
		switch {
		case i < 0:
			merged.PortLevelSettings = append(merged.PortLevelSettings, p)
		case merged.PortLevelSettings[i].Tls == nil:
			merged.PortLevelSettings[i].Tls = p.GetTls()
		default:
			continue
		}
		tlsPorts = append(tlsPorts, p.GetPort().GetNumber())
	}
	return merged, tlsPorts
}

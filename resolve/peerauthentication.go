package resolve

import (
	"fmt"
	"slices"

	apisecurity "istio.io/api/security/v1beta1"
)

// The rules of PeerAuthentication.
const (
	RulePeerAuthenticationPort             RuleID = "peerauthentication/port"
	RulePeerAuthenticationWorkload         RuleID = "peerauthentication/workload"
	RulePeerAuthenticationNamespace        RuleID = "peerauthentication/namespace"
	RulePeerAuthenticationMesh             RuleID = "peerauthentication/mesh"
	RulePeerAuthenticationDefault          RuleID = "peerauthentication/default"
	RulePeerAuthenticationNarrower         RuleID = "peerauthentication/narrower-wins"
	RulePeerAuthenticationUnset            RuleID = "peerauthentication/unset-inherits"
	RulePeerAuthenticationOlder            RuleID = "peerauthentication/older-wins"
	RulePeerAuthenticationRootSelector     RuleID = "peerauthentication/root-selector"
	RulePeerAuthenticationOtherLabels      RuleID = "peerauthentication/other-labels"
	RulePeerAuthenticationOtherPort        RuleID = "peerauthentication/other-port"
	RulePeerAuthenticationPortNeedSelector RuleID = "peerauthentication/port-needs-selector"
	RulePeerAuthenticationUnreadable       RuleID = "peerauthentication/unreadable"
)

const composeSource = "pilot/pkg/security/authn/policy_applier.go, ComposePeerAuthentication"

var peerAuthenticationRules = slices.Concat(peerAuthenticationModeRules, inboundChainRules, trustDomainRules)

var peerAuthenticationModeRules = []Rule{
	{
		ID: RulePeerAuthenticationPort, Stage: StagePeerAuthentication, Source: composeSource,
		Says:     "portLevelMtls of the workload's PeerAuthentication decides for its ports, which are pod ports.",
		Template: "mTLS mode %s for pod port %d of %s",
	},
	{
		ID: RulePeerAuthenticationWorkload, Stage: StagePeerAuthentication, Source: composeSource,
		Says:     "A PeerAuthentication whose selector matches the workload goes before that of its namespace.",
		Template: "mTLS mode %s for workload %s",
	},
	{
		ID: RulePeerAuthenticationNamespace, Stage: StagePeerAuthentication, Source: composeSource,
		Says:     "A PeerAuthentication without selector is for its namespace and goes before that of the mesh.",
		Template: "mTLS mode %s for namespace %s",
	},
	{
		ID: RulePeerAuthenticationMesh, Stage: StagePeerAuthentication, Source: composeSource,
		Says:     "A PeerAuthentication without selector in the root namespace is for the mesh.",
		Template: "mTLS mode %s for the mesh (root namespace %s)",
	},
	{
		ID: RulePeerAuthenticationDefault, Stage: StagePeerAuthentication, Source: composeSource, Detail: true,
		Says:     "Where no PeerAuthentication sets a mode it is PERMISSIVE.",
		Template: "no PeerAuthentication sets a mode for %s; Istio's default is PERMISSIVE",
	},
	{
		ID: RulePeerAuthenticationNarrower, Stage: StagePeerAuthentication, Source: composeSource, Detail: true,
		Says:     "The mode of the narrower level replaces that of the wider one.",
		Template: "mode %s is replaced by %s",
	},
	{
		ID: RulePeerAuthenticationUnset, Stage: StagePeerAuthentication, Source: composeSource,
		Says:     "A level whose mode is UNSET or missing takes that of the wider level.",
		Template: "its mode is UNSET, so the wider level's %s stays",
	},
	{
		ID: RulePeerAuthenticationOlder, Stage: StagePeerAuthentication, Source: "pilot/pkg/model/authentication.go, addPeerAuthentication; " + composeSource,
		Says:     "Of several PeerAuthentications of one level only the oldest counts (then by name); they are never merged.",
		Template: "ignored: %s is of the same level and older (or first by name); they are never merged",
	},
	{
		ID: RulePeerAuthenticationRootSelector, Stage: StagePeerAuthentication, Source: composeSource,
		Says:     "A PeerAuthentication of the root namespace that has a selector does nothing, not even for pods of the root namespace.",
		Template: "does nothing: a PeerAuthentication in the root namespace %s must not have a selector",
	},
	{
		ID: RulePeerAuthenticationOtherLabels, Stage: StagePeerAuthentication, Source: "pilot/pkg/model/authentication.go, getConfigsForWorkload", Detail: true,
		Says:     "A selector must be a subset of the pod's labels.",
		Template: "selects %s; %s is another workload",
	},
	{
		ID: RulePeerAuthenticationOtherPort, Stage: StagePeerAuthentication, Source: "pilot/pkg/security/authn/policy_applier.go, GetMutualTLSModeForPort", Detail: true,
		Says:     "portLevelMtls is keyed by the port the pod listens on, not by the Service's port.",
		Template: "portLevelMtls names port %s; the pod port of this connection is %d",
	},
	{
		ID: RulePeerAuthenticationPortNeedSelector, Stage: StagePeerAuthentication, Source: composeSource,
		Says:     "portLevelMtls counts only in a PeerAuthentication with a selector.",
		Template: "portLevelMtls is ignored: the PeerAuthentication has no selector",
	},
	{
		ID: RulePeerAuthenticationUnreadable, Stage: StagePeerAuthentication, Source: "this tool",
		Says:     "A PeerAuthentication that could not be read may change the mode.",
		Template: "PeerAuthentications could not be read (%s); the mode may be another",
	},
}

// peerPolicy is one PeerAuthentication.
type peerPolicy struct {
	ref      Ref
	spec     *apisecurity.PeerAuthentication
	selector labelSelector
}

// peerPolicies are the PeerAuthentications of a namespace, oldest first.
type peerPolicies struct{ plain, selecting []*peerPolicy }

func indexPeerAuthentications(s *Snapshot) map[string]*peerPolicies {
	x := map[string]*peerPolicies{}
	for _, o := range s.PeerAuthentications {
		in := x[o.Namespace]
		if in == nil {
			in = &peerPolicies{}
			x[o.Namespace] = in
		}
		p := &peerPolicy{ref: refOf(securityGroup, peerAuthenticationKind.Kind, o), spec: &o.Spec, selector: newLabelSelector(&o.Spec)}
		if len(p.selector) == 0 {
			in.plain = append(in.plain, p)
		} else {
			in.selecting = append(in.selecting, p)
		}
	}
	return x
}

// EffectiveMTLS is the mTLS mode that the workload's sidecar demands on a pod port.
// Gateways' own listeners do not follow it.
//
//  1. It begins with PERMISSIVE.
//  2. The mesh level (root namespace, no selector) replaces it, if it sets a mode.
//  3. The namespace level (another namespace, no selector) replaces it, if it sets a mode.
//  4. The workload level (another namespace than the root, the selector matches) replaces it, if it sets a mode.
//  5. portLevelMtls of the workload level decides for its pod ports; UNSET there is the mode so far.
//
// One PeerAuthentication a level counts, the oldest. One with a selector in the
// root namespace is of no level.
//
// Source: pilot/pkg/security/authn/policy_applier.go, ComposePeerAuthentication;
// pilot/pkg/model/authentication.go, addPeerAuthentication, getConfigsForWorkload.
func (s *Snapshot) EffectiveMTLS(w *Workload, port int) MTLS {
	return s.known(w).mtls.of(port, func() MTLS { return s.findMTLS(w, port) })
}

func (s *Snapshot) findMTLS(w *Workload, port int) MTLS {
	m := mtlsOf(s, w.Namespace, w.Owner.String())
	m.Steps = append(m.Steps, s.hiddenPeerAuthentications(w)...)
	// 1 to 3.
	m.mesh()
	m.inNamespace(w.Namespace)
	// 4. The workload's own.
	chosen := m.ofWorkload(w)
	// 5. Its ports.
	if chosen != nil {
		m.ofPort(chosen, port)
	}
	return m.result()
}

// NamespaceMTLS is the mTLS mode of the mesh and namespace levels alone, from
// which clients infer whether a service takes mTLS.
// Source: pilot/pkg/model/push_context.go, BestEffortInferServiceMTLSMode;
// pilot/pkg/model/authentication.go, GetNamespaceMutualTLSMode.
func (s *Snapshot) NamespaceMTLS(namespace string) MTLS {
	return s.index.namespaceMTLS.of(namespace, func() MTLS {
		m := mtlsOf(s, namespace, "namespace "+namespace)
		m.mesh()
		m.inNamespace(namespace)
		return m.result()
	})
}

// mtlsChoice walks the levels from wide to narrow.
type mtlsChoice struct {
	MTLS
	snapshot *Snapshot
	subject  string
	// chosen is the step of the level that decides so far.
	chosen Step
}

func mtlsOf(s *Snapshot, namespace, subject string) *mtlsChoice {
	m := &mtlsChoice{
		MTLS: MTLS{Mode: MTLSPermissive}, snapshot: s, subject: subject,
		chosen: NewStep(RulePeerAuthenticationDefault, None, Ref{}, subject),
	}
	m.Gaps = s.GapsOf(peerAuthenticationKind, s.Mesh.GetRootNamespace(), namespace)
	for _, g := range m.Gaps {
		m.Steps = append(m.Steps, NewStep(RulePeerAuthenticationUnreadable, Warned, g.ref(), string(g.Reason)))
	}
	return m
}

func (m *mtlsChoice) mesh() {
	root := m.snapshot.Mesh.GetRootNamespace()
	if in := m.snapshot.index.policies().peer[root]; in != nil {
		m.level(in.plain, RulePeerAuthenticationMesh, root)
	}
}

func (m *mtlsChoice) inNamespace(namespace string) {
	in := m.snapshot.index.policies().peer[namespace]
	if in != nil && namespace != m.snapshot.Mesh.GetRootNamespace() {
		m.level(in.plain, RulePeerAuthenticationNamespace, namespace)
	}
}

// ofWorkload applies the workload level and returns its PeerAuthentication.
func (m *mtlsChoice) ofWorkload(w *Workload) *peerPolicy {
	root := m.snapshot.Mesh.GetRootNamespace()
	policies := m.snapshot.index.policies().peer
	if in := policies[root]; in != nil {
		for _, p := range in.selecting {
			if p.selector.selects(w.Labels) {
				m.Steps = append(m.Steps, NewStep(RulePeerAuthenticationRootSelector, Skipped, p.ref.At("spec.selector"), root))
			}
		}
	}
	in := policies[w.Namespace]
	if in == nil || w.Namespace == root {
		return nil
	}
	var matching []*peerPolicy
	for _, p := range in.selecting {
		if p.selector.selects(w.Labels) {
			matching = append(matching, p)
			continue
		}
		expected, actual := p.selector.miss(w.Labels)
		m.Steps = append(m.Steps, NewStep(RulePeerAuthenticationOtherLabels, Skipped,
			p.ref.At("spec.selector.matchLabels"), expected, m.subject).Unlike(expected, actual))
	}
	if len(matching) == 0 {
		return nil
	}
	m.level(matching, RulePeerAuthenticationWorkload, m.subject)
	return matching[0]
}

// ofPort applies portLevelMtls.
func (m *mtlsChoice) ofPort(p *peerPolicy, port int) {
	ports := p.spec.GetPortLevelMtls()
	tls, ok := ports[uint32(port)]
	if ok && port >= 0 {
		field := fmt.Sprintf("spec.portLevelMtls[%d]", port)
		mode, set := modeOf(tls)
		if !set {
			m.Steps = append(m.Steps, NewStep(RulePeerAuthenticationUnset, Skipped, p.ref.At(field), string(m.Mode)))
			return
		}
		m.decide(mode, p.ref.At(field+".mode"), NewStep(RulePeerAuthenticationPort, Matched, p.ref.At(field+".mode"), string(mode), port, m.subject))
		return
	}
	if len(ports) > 0 {
		others := make([]int, 0, len(ports))
		for n := range ports {
			others = append(others, int(n))
		}
		slices.Sort(others)
		list := portList(others)
		m.Steps = append(m.Steps, NewStep(RulePeerAuthenticationOtherPort, Skipped,
			p.ref.At("spec.portLevelMtls"), list, port).Unlike(list, fmt.Sprint(port)))
	}
}

// level applies the oldest of the PeerAuthentications of one level.
func (m *mtlsChoice) level(policies []*peerPolicy, rule RuleID, of string) {
	for i, p := range policies {
		if i > 0 {
			m.Steps = append(m.Steps, NewStep(RulePeerAuthenticationOlder, Skipped, p.ref, policies[0].ref.String()))
			continue
		}
		if len(p.spec.GetPortLevelMtls()) > 0 && rule != RulePeerAuthenticationWorkload {
			m.Steps = append(m.Steps, NewStep(RulePeerAuthenticationPortNeedSelector, Skipped, p.ref.At("spec.portLevelMtls")))
		}
		mode, set := modeOf(p.spec.GetMtls())
		if !set {
			m.Steps = append(m.Steps, NewStep(RulePeerAuthenticationUnset, Skipped, p.ref.At("spec.mtls.mode"), string(m.Mode)))
			continue
		}
		ref := p.ref.At("spec.mtls.mode")
		m.decide(mode, ref, NewStep(rule, Matched, ref, string(mode), of))
	}
}

// decide lets a narrower level replace the mode so far.
func (m *mtlsChoice) decide(mode MTLSMode, ref Ref, step Step) {
	if !m.Ref.IsZero() {
		m.Steps = append(m.Steps, NewStep(RulePeerAuthenticationNarrower, Skipped, m.Ref, string(m.Mode), ref.String()))
	}
	m.Mode, m.Ref, m.chosen = mode, ref, step
}

func (m *mtlsChoice) result() MTLS {
	m.Steps = slices.Clip(append(m.Steps, m.chosen))
	return m.MTLS
}

// modeOf is the mode a PeerAuthentication sets, and whether it sets one.
func modeOf(tls *apisecurity.PeerAuthentication_MutualTLS) (MTLSMode, bool) {
	switch tls.GetMode() {
	case apisecurity.PeerAuthentication_MutualTLS_UNSET:
		return "", false
	case apisecurity.PeerAuthentication_MutualTLS_STRICT:
		return MTLSStrict, true
	case apisecurity.PeerAuthentication_MutualTLS_PERMISSIVE:
		return MTLSPermissive, true
	case apisecurity.PeerAuthentication_MutualTLS_DISABLE:
		return MTLSDisable, true
	}
	// A number that is no mode builds a listener without TLS.
	return MTLSDisable, true
}

func portList(list []int) string {
	s := ""
	for i, n := range list {
		if i > 0 {
			s += ", "
		}
		s += fmt.Sprint(n)
	}
	return s
}

package resolve

import (
	"fmt"
	"slices"
)

// What PeerAuthentication is to ztunnel: whether plaintext may enter. HBONE is mTLS whatever the mode, and DISABLE is PERMISSIVE.
//
//  1. The levels are those of EffectiveMTLS, but that one with an empty selector in the root namespace counts for the pods of the root
//     namespace alone.
//  2. Where the mode of the levels is STRICT, the workload gets the policy istio_converted_static_strict, which denies whoever has no
//     identity.
//  3. The workload's own PeerAuthentication has exceptions, if its mode is STRICT and a port is PERMISSIVE or DISABLE; if its mode is
//     PERMISSIVE or DISABLE and a port is STRICT; if it sets no mode and a port is STRICT under levels that are not, or PERMISSIVE
//     (not DISABLE) under levels that are. The workload then gets the policy converted_peer_authentication_NAME and, where the port
//     opens, that instead of the static one.
//  4. That policy is made by looking at the wider levels in another way: those with an empty selector do not count; a namespace level
//     without a mode hides that of the mesh where a port is to open; and a mesh level that is STRICT, with no mode of the namespace
//     between, takes the STRICT ports of the workload for settled, even where the workload's own mode is PERMISSIVE or DISABLE.
//     Where nothing is left there is no such policy, ztunnel passes over its name, and the whole workload takes plaintext.
//
// Source: pilot/pkg/serviceregistry/ambient/authorization.go, convertedSelectorPeerAuthentications, convertPeerAuthentication;
// policies.go, PolicyCollections; workloads.go, fetchPeerAuthentications; ztunnel: src/state.rs, assert_rbac.

// The names of the policies that istiod makes of PeerAuthentications.
const (
	ztunnelStaticStrict  = "istio_converted_static_strict"
	ztunnelConvertedPeer = "converted_peer_authentication_"
)

// ztunnelMTLS is what PeerAuthentication makes of a connection at ztunnel.
type ztunnelMTLS struct {
	MTLS
	refuses bool
	// policy is the policy of ztunnel that refuses, NAMESPACE/NAME.
	policy string
}

// ztunnelMTLSKey is what of a connection PeerAuthentication looks at.
type ztunnelMTLSKey struct {
	port  int
	hbone bool
}

// MTLSAtZtunnel is the mode that decides about plaintext to a port of a captured workload.
func (s *Snapshot) MTLSAtZtunnel(w *Workload, port int) MTLS {
	return s.ztunnelMTLS(w, port, false).MTLS
}

func (s *Snapshot) ztunnelMTLS(w *Workload, port int, hbone bool) ztunnelMTLS {
	return s.known(w).ztunnelMTLS.of(ztunnelMTLSKey{port, hbone}, func() ztunnelMTLS { return s.findZtunnelMTLS(w, port, hbone) })
}

func (s *Snapshot) findZtunnelMTLS(w *Workload, port int, hbone bool) ztunnelMTLS {
	m := mtlsOf(s, w.Namespace, w.Owner.String())
	m.Steps = append(m.Steps, s.hiddenPeerAuthentications(w)...)
	root := s.Mesh.GetRootNamespace()
	m.ztunnelMesh(root, w)
	m.inNamespace(w.Namespace)
	chosen := m.ofWorkload(w)
	out := ztunnelMTLS{policy: root + "/" + ztunnelStaticStrict, refuses: m.Mode == MTLSStrict}
	x := m.exceptionsOf(chosen)
	if x.attached {
		out.refuses = x.refuses(port)
		out.policy = chosen.ref.Namespace + "/" + ztunnelConvertedPeer + chosen.ref.Name
	}
	lost := x.attached && !x.made
	if chosen != nil && !lost {
		m.ztunnelPort(chosen, port, out.refuses)
	}
	out.MTLS = m.result()
	switch {
	case hbone:
		out.refuses = false
		out.Steps = append(out.Steps, NewStep(RuleZtunnelHBONE, Allowed, Ref{}))
	case lost:
		out.Steps = append(out.Steps, NewStep(RuleZtunnelExceptionsLost, Applied, chosen.ref.At("spec.portLevelMtls"), out.policy).meantFor(true))
	case out.refuses:
		out.Steps = append(out.Steps, NewStep(RuleZtunnelStrict, DeniedBy, out.Ref, string(out.Mode), out.policy))
	default:
		out.Steps = append(out.Steps, NewStep(RuleZtunnelPlaintext, Allowed, out.Ref, string(out.Mode)))
	}
	return out
}

// ztunnelMesh applies the mesh level.
func (m *mtlsChoice) ztunnelMesh(root string, w *Workload) {
	in := m.snapshot.index.policies().peer[root]
	if in == nil {
		return
	}
	var counts []*peerPolicy
	for _, p := range in.plain {
		if p.spec.GetSelector() != nil && w.Namespace != root {
			m.Steps = append(m.Steps, NewStep(RuleZtunnelRootSelector, Skipped, p.ref.At("spec.selector"), root, w.Namespace).meantFor(true))
			continue
		}
		counts = append(counts, p)
	}
	m.level(counts, RulePeerAuthenticationMesh, root)
}

// ztunnelPort applies portLevelMtls, as far as it is in effect.
func (m *mtlsChoice) ztunnelPort(p *peerPolicy, port int, refuses bool) {
	tls, ok := p.spec.GetPortLevelMtls()[uint32(port)]
	mode, set := modeOf(tls)
	if port < 0 || !ok || !set || (mode == MTLSStrict) == refuses {
		m.ofPort(p, port)
		return
	}
	field := fmt.Sprintf("spec.portLevelMtls[%d].mode", port)
	m.Steps = append(m.Steps, NewStep(RuleZtunnelPortNotInEffect, Skipped, p.ref.At(field), string(mode), port, string(m.Mode)).meantFor(true))
}

// permit would let plaintext in.
func (t ztunnelMTLS) permit() []Change {
	return []Change{{Op: ChangeSet, Ref: t.Ref, Value: string(MTLSPermissive)}}
}

// exceptions are the ports for which a workload's PeerAuthentication differs from the levels.
type exceptions struct {
	// attached is whether the workload has the policy that istiod makes of them, and made whether there is one.
	attached, made bool
	// strict are ports that refuse plaintext, and open those that take it where others refuses it.
	strict, open []uint32
	others       bool
}

func (x exceptions) refuses(port int) bool {
	if !x.made || port < 0 {
		return false
	}
	return slices.Contains(x.strict, uint32(port)) || x.others && !slices.Contains(x.open, uint32(port))
}

// exceptionsOf are the exceptions of the workload's PeerAuthentication, under the mode of the levels.
func (m *mtlsChoice) exceptionsOf(p *peerPolicy) exceptions {
	if p == nil {
		return exceptions{}
	}
	own, set := modeOf(p.spec.GetMtls())
	switch {
	case set && own == MTLSStrict:
		return m.convert(p, len(portsIn(p, MTLSPermissive, MTLSDisable)) > 0)
	case set:
		return m.convert(p, len(portsIn(p, MTLSStrict)) > 0)
	case m.Mode == MTLSStrict:
		return m.convert(p, len(portsIn(p, MTLSPermissive)) > 0)
	}
	return m.convert(p, len(portsIn(p, MTLSStrict)) > 0)
}

// convert is the policy that istiod makes of a PeerAuthentication, if it is attached.
func (m *mtlsChoice) convert(p *peerPolicy, attached bool) exceptions {
	if !attached {
		return exceptions{}
	}
	root, inRoot := m.plainest(m.snapshot.Mesh.GetRootNamespace())
	namespace, inNamespace := m.plainest(p.ref.Namespace)
	own, set := modeOf(p.spec.GetMtls())
	// A namespace level that is there counts, with a mode or without, where a port is to open.
	wider := namespace == MTLSStrict || !inNamespace && inRoot && root == MTLSStrict
	// A STRICT port is left to wider levels that are STRICT; to that of the mesh even where the workload's own mode goes before it.
	left := own == MTLSStrict || !set && namespace == MTLSStrict || namespace == "" && inRoot && root == MTLSStrict
	x := exceptions{attached: true}
	if !left {
		x.strict = portsIn(p, MTLSStrict)
	}
	if own == MTLSStrict || !set && wider {
		x.open = portsIn(p, MTLSPermissive, MTLSDisable)
	}
	x.others = len(x.open) > 0
	x.made = len(x.strict) > 0 || x.others
	return x
}

// plainest is the mode, empty for none, of the oldest PeerAuthentication of a namespace that has no selector at all; false without one.
func (m *mtlsChoice) plainest(namespace string) (MTLSMode, bool) {
	in := m.snapshot.index.policies().peer[namespace]
	if in == nil {
		return "", false
	}
	for _, p := range in.plain {
		if p.spec.GetSelector() == nil {
			mode, _ := modeOf(p.spec.GetMtls())
			return mode, true
		}
	}
	return "", false
}

// portsIn are the ports that portLevelMtls gives one of the modes.
func portsIn(p *peerPolicy, modes ...MTLSMode) []uint32 {
	var out []uint32
	for port, tls := range p.spec.GetPortLevelMtls() {
		if mode, set := modeOf(tls); set && slices.Contains(modes, mode) {
			out = append(out, port)
		}
	}
	slices.Sort(out)
	return out
}

package trace

import (
	"slices"
	"strconv"
	"strings"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// What would give a request an identity that the receiver can verify and trusts: the hint where STRICT refuses
// plaintext, or where policies ask for a principal.

// originate are the changes by which the client's proxy would send mTLS; nil where
// it does, or none is known.
func originate(p *path, a arrival) []resolve.Change {
	if !p.proxied || p.sealed || a.tls.Mode != resolve.ClientPlaintext {
		return nil
	}
	return tlsMode(a.tls.Step.Ref, "ISTIO_MUTUAL")
}

// tlsMode sets the mode of the DestinationRule's TLS settings that decided.
func tlsMode(settings resolve.Ref, mode string) []resolve.Change {
	if settings.Kind != "DestinationRule" || !strings.HasSuffix(settings.Field, ".tls") {
		return nil
	}
	return []resolve.Change{{Op: resolve.ChangeSet, Ref: settings.At(settings.Field + ".mode"), Value: mode}}
}

// templates are where the labels of the pods stand, by the kind of the workload.
var templates = map[string]string{
	"Pod": "metadata", "CronJob": "spec.jobTemplate.spec.template.metadata",
	"Deployment": "spec.template.metadata", "StatefulSet": "spec.template.metadata", "DaemonSet": "spec.template.metadata",
	"ReplicaSet": "spec.template.metadata", "Job": "spec.template.metadata",
}

// inject is what would give a workload a sidecar: a restart, or the first label that the injectors take.
func inject(s *resolve.Snapshot, w *resolve.Workload) []resolve.Change {
	metadata, ok := templates[w.Owner.Kind]
	if !ok {
		return nil
	}
	step := w.DataplaneStep
	if now, running := s.InjectionNow(w); running {
		step = now.Step
	}
	if _, missed := s.MissedInjection(w); missed {
		return []resolve.Change{{Op: resolve.ChangeRestart, Ref: w.Owner}}
	}
	onPod := func(label, value string) []resolve.Change {
		if !s.InjectedWith(w, map[string]string{label: value}, nil) {
			return nil
		}
		return []resolve.Change{{Op: resolve.ChangeSet, Ref: w.Owner.At(metadata + ".labels[" + strconv.Quote(label) + "]"), Value: strconv.Quote(value)}}
	}
	onNamespace := func(label, value string) []resolve.Change {
		if !s.InjectedWith(w, nil, map[string]string{label: value}) {
			return nil
		}
		return []resolve.Change{{Op: resolve.ChangeSet, Ref: resolve.Ref{Kind: "Namespace", Name: w.Namespace, Field: "metadata.labels[" + strconv.Quote(label) + "]"}, Value: value}}
	}
	switch step.Rule {
	case resolve.RuleInjectionNotAsked, resolve.RuleInjectionUnknownNamespace, resolve.RuleInjectionPodDisabled:
		return onPod("sidecar.istio.io/inject", "true")
	case resolve.RuleInjectionNamespaceDisabled:
		return onNamespace("istio-injection", "enabled")
	case resolve.RuleInjectionUnknownRevision:
		if step.Ref.Kind != "Namespace" {
			return onPod("istio.io/rev", s.InjectorName())
		}
		return onNamespace("istio.io/rev", s.InjectorName())
	}
	return nil
}

// permit opens a port for plaintext: the last resort where a client has no sidecar to get.
func permit(mtls resolve.MTLS) []resolve.Change {
	if mtls.Ref.Kind != "PeerAuthentication" {
		return nil
	}
	return []resolve.Change{{Op: resolve.ChangeSet, Ref: mtls.Ref, Value: string(resolve.MTLSPermissive)}}
}

// trust makes the trust domain of an identity one of the mesh's.
func trust(peer string, mesh resolve.Ref) []resolve.Change {
	domain, _, ok := strings.Cut(peer, "/")
	if !ok {
		return nil
	}
	return []resolve.Change{{Op: resolve.ChangeAdd, Ref: mesh.At("trustDomainAliases"), Value: strconv.Quote(domain)}}
}

// withMTLS is the hint where plaintext is refused.
func (w *walk) withMTLS(p *path, a arrival, mtls resolve.MTLS) []resolve.Change {
	hint := originate(p, a)
	if !p.proxied && p.sender != nil {
		hint = w.withSidecar(p.sender, mtls.Ref)
	}
	if len(hint) == 0 {
		return permit(mtls)
	}
	return hint
}

// withIdentity is the hint for a denial of a peer without an identity: what would
// give it one, and what the policies would then still lack.
func (w *walk) withIdentity(p *path, proxy *resolve.Workload, c *resolve.Connection, request *resolve.HTTPRequest, by resolve.Ref) []resolve.Change {
	switch {
	case c.Peer != "" || p.sender == nil:
		return nil
	case !p.proxied:
		return w.withSidecar(p.sender, by)
	case len(p.originate) == 0:
		return nil
	}
	known := *c
	known.Peer = p.sender.Principal(w.snapshot.Mesh.GetTrustDomain())
	again := w.snapshot.AuthorizeLocal(proxy, &known, request)
	if again.Decision == resolve.AccessDenied && len(again.Hint) == 0 {
		return nil
	}
	return slices.Concat(p.originate, again.Hint)
}

// readAsHTTP is the hint where policies about HTTP refuse an HTTP request that the receiver's port takes for TCP: the
// protocol of the port, if they let the request pass then.
func (w *walk) readAsHTTP(p *path, proxy *resolve.Workload, c *resolve.Connection, local resolve.Authorization) []resolve.Change {
	aboutHTTP := slices.ContainsFunc(local.Steps, func(s resolve.Step) bool {
		return s.Rule == resolve.RuleAuthorizationHTTPInTCP || s.Rule == resolve.RuleAuthorizationHTTPInTCPAllow
	})
	if !aboutHTTP || !p.speaksHTTP() || p.declared.IsZero() {
		return nil
	}
	request := p.http.Clone()
	request.Path = resolve.NormalizePath(request.Path, w.snapshot.RequestCleaning(proxy))
	behind, ok := w.snapshot.Passes(proxy, c, request)
	if !ok {
		return nil
	}
	field, protocol := ".protocol", "HTTP"
	if w.request.Scheme.IsGRPC() {
		protocol = "GRPC"
	}
	switch p.declared.Kind {
	case "Service":
		field, protocol = ".appProtocol", strings.ToLower(protocol)
	case "Sidecar":
		field = ".port.protocol"
	}
	change := resolve.Change{Op: resolve.ChangeSet, Ref: p.declared.At(p.declared.Field + field), Value: protocol}
	return append([]resolve.Change{change}, behind...)
}

// withSidecar is the hint for a client without a sidecar: that it gets one, and what
// would be in the way then. Nobody can say that but another walk.
func (w *walk) withSidecar(client *resolve.Workload, by resolve.Ref) []resolve.Change {
	hint := inject(w.snapshot, client)
	if len(hint) == 0 {
		return nil
	}
	injected := *client
	injected.Dataplane, injected.DataplaneStep = resolve.DataplaneSidecar, resolve.Step{}
	again := &walk{snapshot: w.snapshot, request: w.request, source: w.source}
	again.leave(w.request.path(), &injected)
	for _, o := range again.outcomes {
		if o.By.Object() != by.Object() || o.Decision == Delivered {
			continue
		}
		if len(o.Hint) == 0 {
			return nil
		}
		return slices.Concat(hint, o.Hint)
	}
	return hint
}

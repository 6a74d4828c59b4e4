package resolve

import (
	"cmp"
	"maps"
	"slices"

	networking "istio.io/api/networking/v1alpha3"
)

// RuleServerIdentity is the check of a server's certificate by an Istio mTLS client.
const RuleServerIdentity RuleID = "tls/server-identity"

var serverIdentityRules = []Rule{{
	ID: RuleServerIdentity, Stage: StageTLS,
	Says:     "Istio mTLS accepts only certificates with an identity that the service is known to have: that of its endpoints' service accounts or a subjectAltName.",
	Template: "%s has the certificate of %s, which %s is not known to have (%s)",
	Source:   "pilot/pkg/networking/core/cluster_tls.go, buildUpstreamTLSSettings; model/push_context.go, addServiceAccounts",
}}

// AcceptsServer reports whether a client of the cluster takes a server of that identity for one of the service's.
//
//  1. subjectAltNames of an ISTIO_MUTUAL block are the only names, where there are any.
//  2. Else the service accounts of all endpoints of the host in the service's namespace, whatever
//     their port and health, and the subjectAltNames of its ServiceEntries. Without any, every name will do.
//
// Source: pilot/pkg/networking/core/cluster_tls.go, buildUpstreamTLSSettings, buildIstioMutualTLS;
// model/push_context.go, addServiceAccounts.
func (s *Snapshot) AcceptsServer(tls ClientTLS, server *Workload) (bool, Step) {
	c := tls.cluster
	if c == nil || c.Service == nil {
		return true, Step{}
	}
	// 1.
	names := map[string]bool{}
	ref := c.Service.Ref
	if user := c.Policy.GetTls(); user.GetMode() == networking.ClientTLSSettings_ISTIO_MUTUAL && len(user.GetSubjectAltNames()) > 0 {
		for _, name := range user.GetSubjectAltNames() {
			names[name] = true
		}
		ref = c.TLSRef
	} else { // 2.
		names = s.serviceIdentities(c.Service)
	}
	principal := server.Principal(s.Mesh.GetTrustDomain())
	if len(names) == 0 || names["spiffe://"+principal] {
		return true, Step{}
	}
	known := joinLimited(slices.Sorted(maps.Keys(names)), 3)
	return false, NewStep(RuleServerIdentity, DeniedBy, ref, server.Owner.String(), principal, c.Service.Hostname, known).Unlike(known, principal)
}

// AcceptsMeshCertificate reports whether a client's proxy that sends such TLS takes the certificate that a server of the mesh
// shows for its workload. http is set where it sends HTTP.
//
//  1. Istio mTLS does: AcceptsServer tells of which servers.
//  2. What a DestinationRule originates is verified by the authorities of the operating system, among which the mesh's
//     is not, unless it names others, which are taken to hold it, or insecureSkipVerify.
//  3. Its subjectAltNames, without any those of the ServiceEntry, have to have the server's identity. Without either and without
//     an sni the server needs a certificate for the Host of an HTTP request, and such of the mesh have no hosts.
//
// Source: pilot/pkg/networking/core/cluster_tls.go, constructUpstreamTLS, setAutoSniAndAutoSanValidation;
// pilot/pkg/security/model/authentication.go, ApplyCustomSDSToClientCommonTLSContext.
func (s *Snapshot) AcceptsMeshCertificate(tls ClientTLS, server *Workload, http bool) bool {
	user := tls.cluster.settings()
	switch {
	case tls.Mode == ClientMTLS || user.GetInsecureSkipVerify().GetValue(): // 1.
		return true
	case user.GetCaCertificates() == "" && user.GetCredentialName() == "": // 2.
		return false
	}
	names := slices.Clone(user.GetSubjectAltNames()) // 3.
	if svc := tls.cluster.Service; len(names) == 0 && svc != nil && svc.Registry == RegistryExternal {
		names = slices.Collect(maps.Keys(s.serviceIdentities(svc)))
	}
	if len(names) > 0 {
		return slices.Contains(names, "spiffe://"+server.Principal(s.Mesh.GetTrustDomain()))
	}
	return user.GetSni() != "" || !http
}

// settings are those of the DestinationRule for TLS; nil for none.
func (c *Cluster) settings() *networking.ClientTLSSettings {
	if c == nil {
		return nil
	}
	return c.Policy.GetTls()
}

func (s *Snapshot) serviceIdentities(svc *Service) map[string]bool {
	ix := s.index.endpoints()
	key := destinationKey{svc.Namespace, svc.Hostname}
	if got, ok := ix.identities.Load(key); ok {
		return got.(map[string]bool)
	}
	names := map[string]bool{}
	for _, same := range s.sameHost(svc) {
		for _, port := range same.Ports {
			endpoints, _ := s.instances(same, port)
			for _, e := range endpoints {
				if told := cmp.Or(e.Described, e.Workload); told != nil && told.ServiceAccount != "" {
					names["spiffe://"+told.Principal(s.Mesh.GetTrustDomain())] = true
				}
			}
		}
	}
	for _, se := range ix.serviceEntries[key] {
		for _, name := range se.Spec.GetSubjectAltNames() {
			names[name] = true
		}
	}
	ix.identities.Store(key, names)
	return names
}

// sameHost are all the services of the service's host and namespace, by age. istiod keeps their endpoints together.
func (s *Snapshot) sameHost(svc *Service) []*Service {
	if len(s.index.endpoints().serviceEntries[destinationKey{svc.Namespace, svc.Hostname}]) == 0 {
		return []*Service{svc}
	}
	var out []*Service
	for _, other := range s.Services() {
		if other.Hostname == svc.Hostname && other.Namespace == svc.Namespace {
			out = append(out, other)
		}
	}
	return out
}

package apiserver

import (
	"maps"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	networking "istio.io/api/networking/v1alpha3"
	"istio.io/istio/pkg/config"
)

// Entry is the machine outside the cluster that a WorkloadEntry, or an endpoint of a MESH_INTERNAL
// ServiceEntry, says is at the address. It runs a sidecar where istiod expects one: see
// security.istio.io/tlsMode, and serviceAccount where that label is missing. What istiod does not know of says nothing:
// known are the configurations that it does.
func Entry(known []config.Config, ip netip.Addr) *Pod {
	for _, cfg := range known {
		switch spec := cfg.Spec.(type) {
		case *networking.WorkloadEntry:
			if spec.GetAddress() == ip.String() {
				labels := maps.Clone(spec.GetLabels())
				if labels == nil {
					labels = map[string]string{}
				}
				maps.Copy(labels, cfg.Labels)
				return machine(cfg, spec, labels, ip)
			}
		case *networking.ServiceEntry:
			if spec.GetLocation() != networking.ServiceEntry_MESH_INTERNAL {
				continue
			}
			for _, e := range spec.GetEndpoints() {
				if m := machine(cfg, e, e.GetLabels(), ip); e.GetAddress() == ip.String() && m.Proxy != "" {
					return m
				}
			}
		}
	}
	return nil
}

func machine(cfg config.Config, e *networking.WorkloadEntry, labels map[string]string, ip netip.Addr) *Pod {
	p := &Pod{Owner: "WorkloadEntry " + cfg.Namespace + "/" + cfg.Name, Address: ip, Ready: true}
	mode, ok := labels["security.istio.io/tlsMode"]
	if mode == "istio" || !ok && e.GetServiceAccount() != "" {
		p.Proxy = "sidecar"
	}
	account := e.GetServiceAccount()
	if account == "" {
		account = "default"
	}
	p.Pod = &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: cfg.Name, Namespace: cfg.Namespace, Labels: labels},
		Spec:       corev1.PodSpec{ServiceAccountName: account},
		Status:     corev1.PodStatus{PodIP: ip.String()},
	}
	return p
}

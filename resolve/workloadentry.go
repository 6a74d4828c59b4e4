package resolve

import (
	"maps"
	"net/netip"

	networking "istio.io/client-go/pkg/apis/networking/v1"
)

// A WorkloadEntry as a workload.
//
// 1. Labels are those of the spec and of the metadata; the metadata's win.
// 2. It takes mTLS as the label security.istio.io/tlsMode says; without it, if it has a service account.
// 3. Its machine has a ztunnel if the annotation ambient.istio.io/redirection says enabled.
// 4. The locality is the spec's, else that of the labels. The network is the spec's: a label alone does not move the endpoint.
//
// Source: pilot/pkg/serviceregistry/serviceentry/conversion.go, ConvertWorkloadEntry,
// getTLSModeFromWorkloadEntry, convertWorkloadEntryToWorkloadInstance, workloadEntryNetwork.
func entryWorkload(entry *networking.WorkloadEntry) *Workload {
	spec := &entry.Spec
	w := &Workload{
		Owner: refOf(networking.SchemeGroupVersion.Group, "WorkloadEntry", entry), Namespace: entry.Namespace,
		Labels: map[string]string{}, Annotations: entry.Annotations,
		ServiceAccount: spec.GetServiceAccount(),
		Replicas:       1,
		Ready:          true,
		Network:        spec.GetNetwork(),
		Entry:          entry,
	}
	maps.Copy(w.Labels, spec.GetLabels())
	maps.Copy(w.Labels, entry.Labels)
	if a, err := netip.ParseAddr(spec.GetAddress()); err == nil {
		w.Addresses = []netip.Addr{a}
	}
	if spec.GetLocality() != "" {
		w.Locality = parseLocality(spec.GetLocality())
	} else {
		w.Locality, _ = labelledLocality(w.Labels)
	}
	w.Dataplane, w.DataplaneStep = entryDataplane(w)
	return w
}

func entryDataplane(w *Workload) (Dataplane, Step) {
	mode, labelled := w.Labels[labelTLSMode]
	switch {
	case w.Annotations[annotationRedirection] == "enabled":
		at := w.Owner.At("metadata.annotations[" + annotationRedirection + "]")
		return DataplaneAmbient, NewStep(RuleWorkloadRedirected, Applied, at, w.Annotations[annotationRedirection])
	case labelled && mode == tlsModeIstio:
		return DataplaneSidecar, NewStep(RuleWorkloadEntryTLSMode, Applied, w.Owner.At("metadata.labels["+labelTLSMode+"]"), mode)
	case labelled:
		return DataplaneNone, NewStep(RuleWorkloadEntryTLSMode, Applied, w.Owner.At("metadata.labels["+labelTLSMode+"]"), mode)
	case w.ServiceAccount != "":
		return DataplaneSidecar, NewStep(RuleWorkloadEntryAccount, Applied, w.Owner.At("spec.serviceAccount"), w.ServiceAccount)
	}
	return DataplaneNone, NewStep(RuleWorkloadEntryPlain, None, w.Owner, w.Owner.QualifiedName())
}

package resolve

import (
	"maps"

	"istio.io/api/annotation"
	networking "istio.io/client-go/pkg/apis/networking/v1"
)

// RuleWorkloadGroupEmpty tells of machines that are described and not there.
const RuleWorkloadGroupEmpty RuleID = "endpoint/workload-group-without-entry"

var workloadGroupRules = []Rule{{
	ID: RuleWorkloadGroupEmpty, Stage: StageLoadBalance,
	Says:     "A WorkloadGroup only describes machines: there is an endpoint once a machine has connected and istiod has made its WorkloadEntry.",
	Template: "%s describes machines with %s, and there is no WorkloadEntry of it: none has connected",
	Source:   "pilot/pkg/autoregistration/controller.go, registerWorkload, workloadEntryFromGroup",
}}

// sayUnregistered tells of the WorkloadGroups of the namespace whose machines the selector would match, if any had connected.
func (s *Snapshot) sayUnregistered(set *instanceSet, namespace string, selector map[string]string) {
	if len(selector) == 0 {
		return
	}
	for _, group := range s.WorkloadGroups {
		if group.Namespace != namespace || !Selects(selector, groupLabels(group)) || s.registered(group) {
			continue
		}
		ref := refOf(istioNetworking, "WorkloadGroup", group)
		set.skip(RuleWorkloadGroupEmpty, ref, ref.String(), labelsText(groupLabels(group)))
	}
}

// groupLabels are the labels that a machine of the group has.
// Source: pilot/pkg/autoregistration/controller.go, mergeLabels: metadata before template.
func groupLabels(group *networking.WorkloadGroup) map[string]string {
	labels := maps.Clone(group.Spec.GetTemplate().GetLabels())
	if labels == nil {
		labels = map[string]string{}
	}
	maps.Copy(labels, group.Spec.GetMetadata().GetLabels())
	return labels
}

// registered reports whether a machine of the group has a WorkloadEntry.
func (s *Snapshot) registered(group *networking.WorkloadGroup) bool {
	for _, e := range s.WorkloadEntries {
		if e.Namespace == group.Namespace && e.Annotations[annotation.IoIstioAutoRegistrationGroup.Name] == group.Name {
			return true
		}
	}
	return false
}

package resolve

import (
	"slices"
	"strconv"
	"strings"

	networking "istio.io/api/networking/v1alpha3"
)

// HTTPEntry is the http entry of a VirtualService that a field is, or is a part of, as it is written: spec.http[1] for
// spec.http[1].match[0].uri. ok is false where the field is of no such entry.
func (s *Snapshot) HTTPEntry(field Ref) (at Ref, entry *networking.HTTPRoute, ok bool) {
	rest, isHTTP := strings.CutPrefix(field.Field, "spec.http[")
	number, _, closed := strings.Cut(rest, "]")
	i, err := strconv.Atoi(number)
	if field.Kind != "VirtualService" || !isHTTP || !closed || err != nil {
		return Ref{}, nil, false
	}
	for _, o := range s.RawVirtualServices {
		if o.GetNamespace() == field.Namespace && o.GetName() == field.Name && i >= 0 && i < len(o.Spec.GetHttp()) {
			return field.At("spec.http[" + number + "]"), o.Spec.GetHttp()[i], true
		}
	}
	return Ref{}, nil, false
}

// WrittenEntries are the entries of VirtualServices that took a request, given the steps of a hop and the field that was matched there:
//
//  1. Without delegation it is one, and root and leaf are the same.
//  2. Else root delegates to leaf. What was matched is a part of the leaf, or, where the leaf's entry has no match of its own, of
//     the root; of such entries the first takes all that the root lets through.
func (s *Snapshot) WrittenEntries(steps []Step, matched Ref) (root, leaf Ref, ok bool) {
	at, _, ok := s.HTTPEntry(matched)
	if !ok {
		return Ref{}, Ref{}, false
	}
	merged := slices.DeleteFunc(slices.Clone(steps), func(step Step) bool { return step.Rule != RuleDelegateMerged || len(step.Args) == 0 })
	for _, step := range merged {
		if from, isRef := step.Args[0].(Ref); isRef && step.Ref == at {
			return from, at, true
		}
	}
	for _, step := range merged {
		if from, isRef := step.Args[0].(Ref); isRef && from == at {
			if _, entry, ok := s.HTTPEntry(step.Ref); ok && len(entry.GetMatch()) == 0 {
				return at, step.Ref, true
			}
		}
	}
	return at, at, true
}

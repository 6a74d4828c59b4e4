package diff

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// What a pair of traces comes to.
//
//  1. Traces whose outcomes are the same are unchanged. What counts of an outcome is its share, its decision, what the
//     caller and the access log see, where it goes, what arrives there, and how sure all that is. Which object decided, in
//     which words, and how many endpoints share the load do not count.
//     They are not where an object that is not modelled has changed (certainty.go).
//  2. Where they differ, or may, and a side is undetermined, so is the result.
//  3. A share that is delivered on one side and not on the other is broken or repaired. An answer that a proxy gives by
//     itself, a redirect too, is none that is delivered.
//  4. What is delivered to others, or split otherwise, has moved.
//  5. What differs in nothing but how sure it is, or may differ, is uncertain.
//  6. All else has changed.
//  7. A request that can be traced on one side alone has changed: its source, or its gateway, is not on the other.

// epsilon is the share, in percent, below which nothing counts.
const epsilon = 0.005

func classify(before, after side, open bool) (result Result, unknown bool) {
	switch {
	case before.err != nil && after.err != nil:
		return Untraced, false
	case before.err != nil || after.err != nil:
		return Changed, false
	}
	unknown = undetermined(before.trace) || undetermined(after.trace)
	b, a := delivered(before.trace), delivered(after.trace)
	switch {
	case !open && slices.Equal(ends(before.trace), ends(after.trace)):
		return Unchanged, unknown
	case unknown:
		return Undetermined, false
	case alike(before.trace, after.trace):
		return Uncertain, false
	case a < b-epsilon:
		return Broken, false
	case a > b+epsilon:
		return Repaired, false
	case !slices.Equal(backends(before.trace), backends(after.trace)):
		return Moved, false
	}
	return Changed, false
}

func undetermined(t *trace.Trace) bool {
	return slices.ContainsFunc(t.Outcomes, func(o trace.Outcome) bool { return o.Certainty == trace.Undetermined })
}

// delivered is the share that is, in percent.
func delivered(t *trace.Trace) float64 {
	var share float64
	for _, o := range t.Outcomes {
		if o.Decision == trace.Delivered {
			share += o.Weight
		}
	}
	return share
}

// fact is something that counts of an outcome.
type fact struct{ name, value string }

// facts are rule 1, but for the share.
func facts(o trace.Outcome) []fact {
	out := []fact{
		{"decision", string(o.Decision)},
		{"status", strconv.Itoa(o.HTTPStatus)},
		{"response flags", o.ResponseFlags},
		{"response code details", o.ResponseCodeDetails},
		{"code", string(o.Code)},
		{"certainty", string(o.Certainty)},
		{"location", o.Location},
		{"destination", backend(o)},
		{"cluster", o.Destination.EnvoyCluster},
	}
	if f := o.Forwarded; f != nil {
		out = append(out, fact{"forwarded method", f.Method}, fact{"forwarded host", f.Host}, fact{"forwarded path", f.Path})
		for _, name := range slices.Sorted(maps.Keys(f.Headers)) {
			out = append(out, fact{"forwarded header " + name, f.Headers[name]})
		}
		removed := slices.Sorted(slices.Values(f.Removed))
		out = append(out, fact{"removed headers", strings.Join(removed, ", ")})
	}
	return out
}

// ends are the outcomes as texts, equal ones together, in an order of their own.
func ends(t *trace.Trace) []string {
	return shares(t.Outcomes, func(o trace.Outcome) string { return fmt.Sprintf("%q", facts(o)) })
}

// backends are where the delivered shares go.
func backends(t *trace.Trace) []string {
	taken := slices.DeleteFunc(slices.Clone(t.Outcomes), func(o trace.Outcome) bool { return o.Decision != trace.Delivered })
	return shares(taken, backend)
}

// shares are the outcomes by name with the share of each, in the order of the names.
func shares(outcomes []trace.Outcome, name func(trace.Outcome) string) []string {
	sum := map[string]float64{}
	for _, o := range outcomes {
		sum[name(o)] += o.Weight
	}
	var out []string
	for _, n := range slices.Sorted(maps.Keys(sum)) {
		out = append(out, n+" "+percent(sum[n]))
	}
	return out
}

// percent has as many decimals as a share needs, two at most.
func percent(share float64) string {
	return strconv.FormatFloat(math.Round(share*100)/100, 'f', -1, 64) + "%"
}

// backend names where an outcome leads: the workloads, or the host where none is known.
func backend(o trace.Outcome) string {
	d := o.Destination
	var names []string
	for _, w := range d.Workloads {
		names = append(names, w.Kind+" "+w.QualifiedName())
	}
	text := strings.Join(names, ", ")
	if text == "" {
		text = d.Host
	}
	if d.Port != 0 {
		text += " port " + strconv.Itoa(d.Port)
	}
	if d.Subset != "" {
		text += " subset " + d.Subset
	}
	if d.TargetPort != 0 && d.TargetPort != d.Port {
		text += " target port " + strconv.Itoa(d.TargetPort)
	}
	return text
}

// differences are the facts that are others, where both sides have one outcome; else the ends that one side alone has.
func differences(before, after *trace.Trace) []string {
	if before == nil || after == nil {
		return nil
	}
	if len(before.Outcomes) == 1 && len(after.Outcomes) == 1 {
		return factsApart(facts(before.Outcomes[0]), facts(after.Outcomes[0]))
	}
	b, a := backends(before), backends(after)
	if slices.Equal(b, a) {
		return nil
	}
	return []string{strings.Join(b, "; ") + " → " + strings.Join(a, "; ")}
}

func factsApart(before, after []fact) []string {
	was, is := map[string]string{}, map[string]string{}
	var names []string
	for _, f := range before {
		was[f.name] = f.value
		names = append(names, f.name)
	}
	for _, f := range after {
		is[f.name] = f.value
		if _, known := was[f.name]; !known {
			names = append(names, f.name)
		}
	}
	var out []string
	for _, name := range names {
		if was[name] != is[name] {
			out = append(out, name+" "+orNone(was[name])+" → "+orNone(is[name]))
		}
	}
	return out
}

func orNone(value string) string {
	if value == "" || value == "0" {
		return "none"
	}
	return value
}

// decider is the object that decided the first outcome of a kind, else that of the first outcome of all.
func decider(t *trace.Trace, of func(trace.Outcome) bool) resolve.Ref {
	if t == nil {
		return resolve.Ref{}
	}
	for _, o := range t.Outcomes {
		if of(o) && !o.By.IsZero() {
			return o.By
		}
	}
	for _, o := range t.Outcomes {
		if !o.By.IsZero() {
			return o.By
		}
	}
	return resolve.Ref{}
}

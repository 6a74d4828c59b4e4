// Package coverage tells which rules of a mesh decided something in a set of traces.
//
//  1. The rules are those that a person writes: routes and their matches, policies, subsets (rules.go).
//  2. A rule has decided where a step of a trace says so: it was matched, or it allowed or denied. That it was looked at does not count
//     (set.go).
//
// What a rule is and where it counts is asked of the walk's own steps; there is no second model of Istio here.
package coverage

// Package explain tells everything that involves one object: which proxies have it, which rules, destinations and
// policies it decides there, where it has no say and why, and what it refers to.
//
// It knows nothing of Istio itself. What it says is found in surveys (package trace), which walk as traces do: where a
// rule of a table was written in the object, or a step is about it. It imports neither cobra nor a client.
package explain

// Package caserun runs the cases of case files (cmd/casefile) on meshes that were read, and reports what came of them.
//
//  1. Every case runs: one that can not be traced has failed, and the others run all the same (run.go).
//  2. Cases of one mesh run beside each other on one immutable snapshot; what is reported stands in the order of the files.
//  3. A case that failed is walked once more with what was considered, to say what decided (evidence.go). All others are walked
//     without.
//  4. A case of istio-config-validator is about the rule of a VirtualService that takes the request (rule.go), on a mesh that
//     may have nothing but VirtualServices (assume.go).
//
// Reports are text (text.go), a document (document.go), JUnit's XML (junit.go) and TAP 14 (tap.go). Nothing in them depends on a clock.
package caserun

// Package core is where Istio's simulation tests, which are of the package core_test, are laid while
// they run (go test -overlay).
package core

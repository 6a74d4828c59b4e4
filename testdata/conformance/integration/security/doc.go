// Package security is where Istio's own security tests run (tests/integration/security of the module
// istio.io/istio), read from the module by an overlay and not copied. Only the paths of two imports
// are changed, to the packages beneath this one. The test of the same name in the package
// conformance runs them.
package security

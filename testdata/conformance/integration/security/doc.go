// Package security is where Istio's own security tests run (tests/integration/security of the module
// istio.io/istio), read from the module by an overlay and not copied. Only the paths of some imports
// are changed, to the packages beneath this one, and where a test is of another package the names
// by which it finds what is set up. TestIstiosSecurityTests in the package conformance runs them.
package security

// Package e2e runs the real kubectl mesh-trace, as kubectl finds it on PATH, against a real API server.
package e2e

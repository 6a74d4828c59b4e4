package bigmesh

import (
	"bufio"
	"fmt"
	"io"
)

// WriteCases writes a case file with that many cases, spread over all services of a mesh whose manifests are in a file beside it. A service
// is called by one of its namespace, with a path and a method of several; those that its AuthorizationPolicy does not let in are expected to be denied.
func (m Mesh) WriteCases(w io.Writer, manifests string, cases int) error {
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, "apiVersion: meshtrace.dev/v1alpha1\nkind: TraceTest\nmetadata: {name: bigmesh}\nmanifests: [%s]\ncases:\n", manifests)
	calls := []struct{ method, path, decision string }{
		{"GET", "/api/", "Delivered"},
		{"POST", "/api/orders", "Delivered"},
		{"GET", "/", "Delivered"},
		{"DELETE", "/api/orders/1", "Denied"},
		{"GET", "/admin", "Denied"},
	}
	for i := range cases {
		called := i % m.Services
		caller := called/ServicesPerNamespace*ServicesPerNamespace + (called+1)%ServicesPerNamespace
		call := calls[i%len(calls)]
		host := m.Service(called) + "." + m.Namespace(called)
		fmt.Fprintf(out, "- name: %s %s of %s (%d)\n  request:\n    url: http://%s%s\n    method: %s\n    from: %s/deployment/%s\n"+
			"  expect:\n    outcomes:\n    - weight: 100\n      decision: %s\n      destination: {host: %s.svc.cluster.local, port: 80}\n",
			call.method, call.path, host, i, host, call.path, call.method, m.Namespace(called), m.Service(caller), call.decision, host)
	}
	return out.Flush()
}

// Package bigmesh writes the manifests of a large mesh, as a cluster's dump or a rendered chart has
// them, for measuring speed and memory. The same options give the same bytes.
//
//  1. Services are spread over namespaces, [ServicesPerNamespace] to each. A service has a Service, a
//     ServiceAccount, a Deployment, its pods, an EndpointSlice, a DestinationRule of two subsets and an
//     AuthorizationPolicy; every second one a VirtualService, which the mesh follows and, of every fourth, the gateway.
//     All pods are of version v1, as their Deployment's template has it; no canary runs.
//  2. A namespace has a PeerAuthentication, a Sidecar and a ServiceEntry of a host outside.
//  3. The namespace istio-system has an ingress gateway and one Gateway for all of them.
package bigmesh

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// ServicesPerNamespace is how many services share a namespace.
const ServicesPerNamespace = 20

// manyServices is from where on services run more pods.
const manyServices = 5000

// Mesh is the size of a mesh.
type Mesh struct {
	Services int
	// PodsPerService is how many pods run each service; Of chooses it.
	PodsPerService int
}

// Of is a mesh of that many services: one pod each in a mesh of up to 5,000 services, four in a larger one.
func Of(services int) Mesh {
	if services > manyServices {
		return Mesh{Services: services, PodsPerService: 4}
	}
	return Mesh{Services: services, PodsPerService: 1}
}

// Namespace is the namespace of a service, by its number.
func (m Mesh) Namespace(service int) string {
	return fmt.Sprintf("team-%03d", service/ServicesPerNamespace)
}

// Service is the name of a service, by its number.
func (m Mesh) Service(service int) string { return fmt.Sprintf("svc-%05d", service) }

// WriteTo writes the manifests and returns how many bytes that were.
func (m Mesh) WriteTo(w io.Writer) (int64, error) {
	out := &counter{Writer: w}
	buffered := bufio.NewWriter(out)
	write := func(manifest string, replacements ...string) {
		_, _ = strings.NewReplacer(replacements...).WriteString(buffered, manifest) // Flush has the error
	}
	write(gateway)
	for i := range m.Services {
		ns := m.Namespace(i)
		if i%ServicesPerNamespace == 0 {
			write(namespace, "$NS", ns)
		}
		// A service is called by the one after it and by the gateway.
		replacements := []string{
			"$NAME", m.Service(i), "$NS", ns, "$CALLER", m.Service(i + 1), "$REPLICAS", fmt.Sprint(m.PodsPerService),
			"$CLUSTERIP", fmt.Sprintf("10.%d.%d.%d", 96+i>>16, i>>8&255, i&255),
		}
		write(service, replacements...)
		if i%2 == 0 {
			gateways := ""
			if i%4 == 0 {
				gateways = "  - istio-system/front\n"
			}
			write(virtualService, append(replacements, "$GATEWAYS\n", gateways)...)
		}
		m.pods(write, i, replacements)
	}
	err := buffered.Flush()
	return out.n, err
}

// pods writes the pods of a service and the EndpointSlice that lists them.
func (m Mesh) pods(write func(manifest string, replacements ...string), i int, replacements []string) {
	pod := func(p int) []string {
		n := i*m.PodsPerService + p
		hash := fmt.Sprintf("%05x", uint32(n)*2654435761>>12)
		return append(replacements,
			"$PODIP", fmt.Sprintf("10.%d.%d.%d", 128+n>>16, n>>8&255, n&255),
			"$POD", fmt.Sprintf("%s-7d9f6b5c4-%s", m.Service(i), hash),
			"$NODE", fmt.Sprintf("node-%03d", n%300))
	}
	for p := range m.PodsPerService {
		write(podManifest, pod(p)...)
	}
	write(slice, replacements...)
	for p := range m.PodsPerService {
		write(endpoint, pod(p)...)
	}
}

// counter counts what is written through it.
type counter struct {
	io.Writer
	n int64
}

// Write passes the bytes on.
func (c *counter) Write(p []byte) (int, error) {
	n, err := c.Writer.Write(p)
	c.n += int64(n)
	return n, err
}

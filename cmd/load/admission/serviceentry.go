package admission

import (
	"slices"
	"strings"

	"istio.io/api/label"
	networking "istio.io/api/networking/v1alpha3"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// serviceEntry checks a ServiceEntry; labels are the object's own.
// Source: pkg/config/validation/validation.go, ValidateServiceEntry.
func (c *checker) serviceEntry(namespace string, labels map[string]string, spec *networking.ServiceEntry) {
	before := len(c.found)
	c.matchLabels("spec.workloadSelector.labels", spec.GetWorkloadSelector().GetLabels())
	if len(c.found) > before {
		return // istiod looks no further
	}
	if spec.GetWorkloadSelector() != nil && spec.Endpoints != nil {
		c.refuse("spec.endpoints", "only one of WorkloadSelector or Endpoints is allowed in Service Entry")
	}
	if len(spec.GetHosts()) == 0 {
		c.refuse("spec.hosts", "service entry must have at least one host")
	}
	for i, host := range spec.GetHosts() {
		if host == "*" {
			c.refuse(entry("spec.hosts", i), "invalid host *")
		} else {
			c.refuseIf(entry("spec.hosts", i), domain(host))
		}
	}
	ranges := false
	for i, address := range spec.GetAddresses() {
		ranges = ranges || strings.Contains(address, "/")
		c.refuseIf(entry("spec.addresses", i), subnet(address))
	}
	if ranges && spec.GetResolution() != networking.ServiceEntry_NONE && spec.GetResolution() != networking.ServiceEntry_STATIC {
		c.refuse("spec.addresses", "CIDR addresses are allowed only for NONE/STATIC resolution types")
	}
	c.servicePorts(spec)
	c.resolution(spec, labels)
	if spec.GetResolution() != networking.ServiceEntry_NONE && len(spec.GetHosts()) > 1 &&
		slices.ContainsFunc(spec.GetPorts(), func(p *networking.ServicePort) bool {
			protocol := resolve.ParseProtocol(p.GetProtocol())
			return p != nil && !protocol.IsHTTP() && !protocol.IsTLS()
		}) {
		c.refuse("spec.ports", "multiple hosts provided with non-HTTP, non-TLS ports")
	}
	c.exportTo(namespace, spec.GetExportTo(), exporting{none: true})
}

func (c *checker) servicePorts(spec *networking.ServiceEntry) {
	var names []string
	var numbers []uint32
	for i, p := range spec.GetPorts() {
		field := entry("spec.ports", i)
		if p == nil {
			c.refuse(field, "service entry port may not be null")
			continue
		}
		if slices.Contains(names, p.GetName()) {
			c.refuse(field+".name", "service entry port name %q already defined", p.GetName())
		}
		if slices.Contains(numbers, p.GetNumber()) {
			c.refuse(field+".number", "service entry port %d already defined", p.GetNumber())
		}
		names, numbers = append(names, p.GetName()), append(numbers, p.GetNumber())
		if p.GetTargetPort() != 0 {
			c.refuseIf(field+".targetPort", portNumber(p.GetTargetPort()))
		}
		if !isLabel(p.GetName()) {
			c.refuse(field+".name", "invalid port name: %s", p.GetName())
		}
		if p.GetProtocol() != "" && resolve.ParseProtocol(p.GetProtocol()) == resolve.ProtocolUnsupported {
			c.refuse(field+".protocol", "unsupported protocol: %s", p.GetProtocol())
		}
		c.refuseIf(field+".number", portNumber(p.GetNumber()))
	}
}

// resolution checks what a way of finding endpoints needs and forbids.
func (c *checker) resolution(spec *networking.ServiceEntry, labels map[string]string) {
	resolution := spec.GetResolution()
	switch resolution {
	case networking.ServiceEntry_NONE:
		if len(spec.GetEndpoints()) > 0 {
			c.refuse("spec.endpoints", "no endpoints should be provided for resolution type none")
		}
	case networking.ServiceEntry_STATIC:
		for i, e := range spec.GetEndpoints() {
			c.endpoint(entry("spec.endpoints", i), e, spec, false)
		}
	case networking.ServiceEntry_DNS, networking.ServiceEntry_DNS_ROUND_ROBIN:
		c.resolvedHosts(spec)
		if resolution == networking.ServiceEntry_DNS_ROUND_ROBIN && len(spec.GetEndpoints()) > 1 {
			c.refuse("spec.endpoints", "there must only be 0 or 1 endpoint for resolution mode %s", resolution)
		}
		for i, e := range spec.GetEndpoints() {
			c.endpoint(entry("spec.endpoints", i), e, spec, true)
		}
	case networking.ServiceEntry_DYNAMIC_DNS:
		c.dynamic(spec, labels)
	}
}

// resolvedHosts checks that DNS can be asked for the hosts where there are no endpoints.
func (c *checker) resolvedHosts(spec *networking.ServiceEntry) {
	if len(spec.GetEndpoints()) > 0 {
		return
	}
	for i, host := range spec.GetHosts() {
		if wrong := fqdn(host); wrong != "" {
			c.refuse(entry("spec.hosts", i), "hosts must be FQDN or contain only prefix wildcards if no endpoints are provided for resolution mode %s, %s", spec.GetResolution(), wrong)
			return
		}
	}
}

// endpoint checks an endpoint: an address, or with DNS a name.
// Source: pkg/config/validation/validation.go, validateWorkloadEntry.
func (c *checker) endpoint(field string, e *networking.WorkloadEntry, spec *networking.ServiceEntry, byName bool) {
	if e == nil {
		c.refuse(field, "endpoint cannot be nil")
		return
	}
	address, socket := e.GetAddress(), false
	switch {
	case byName:
		if !isAddress(address) && fqdn(address) != "" {
			c.refuse(field+".address", "endpoint address %q is not a valid FQDN or an IP address", address)
		}
	case address == "" && e.GetNetwork() == "":
		c.refuse(field+".address", "address is required")
		return
	case strings.HasPrefix(address, unixPrefix):
		socket = true
		if len(e.GetPorts()) > 0 {
			c.refuse(field+".ports", "unix endpoint %s must not include ports", address)
		}
	case address != "" && !isAddress(address):
		c.refuse(field+".address", "endpoint address %q is not a valid IP address", address)
	}
	for _, name := range sortedKeys(e.GetPorts()) {
		at := field + ".ports[" + name + "]"
		if !slices.ContainsFunc(spec.GetPorts(), func(p *networking.ServicePort) bool { return p != nil && p.GetName() == name }) {
			c.refuse(at, "endpoint port %v is not defined by the service entry", e.GetPorts()[name])
		}
		if !isLabel(name) {
			c.refuse(at, "invalid port name: %s", name)
		}
		c.refuseIf(at, portNumber(e.GetPorts()[name]))
	}
	c.labels(field+".labels", e.GetLabels())
	if socket && len(spec.GetPorts()) != 1 {
		c.refuse(field, "exactly 1 service port required for unix endpoints")
	}
}

// dynamic checks a ServiceEntry whose names are resolved as requests come.
func (c *checker) dynamic(spec *networking.ServiceEntry, labels map[string]string) {
	const resolution = networking.ServiceEntry_DYNAMIC_DNS
	if len(spec.GetHosts()) == 0 {
		c.refuse("spec.hosts", "at least one wildcard host must be provided for resolution type %s", resolution)
	}
	for i, host := range spec.GetHosts() {
		if !strings.HasPrefix(host, "*") {
			c.refuse(entry("spec.hosts", i), "host must be wildcarded for resolution mode %s", resolution)
		}
	}
	if len(spec.GetAddresses()) > 0 {
		c.refuse("spec.addresses", "addresses cannot be set for resolution type %s", resolution)
	}
	if len(spec.GetEndpoints()) > 0 {
		c.refuse("spec.endpoints", "endpoints cannot be set for resolution type %s", resolution)
	}
	for i, p := range spec.GetPorts() {
		if p != nil && !slices.Contains([]resolve.Protocol{resolve.ProtocolHTTP, resolve.ProtocolTLS, resolve.ProtocolGRPC, resolve.ProtocolHTTP2}, resolve.ParseProtocol(p.GetProtocol())) {
			c.refuse(entry("spec.ports", i)+".protocol", "only HTTP, TLS, GRPC, and HTTP2 protocols are supported for resolution type %s", resolution)
		}
	}
	waypoint := labels[label.IoIstioUseWaypoint.Name]
	if spec.GetLocation() == networking.ServiceEntry_MESH_INTERNAL && waypoint != "" && !strings.EqualFold(waypoint, "none") {
		c.refuse("spec.location", "location MESH_INTERNAL with resolution type %s is not supported when using waypoints", resolution)
	}
}

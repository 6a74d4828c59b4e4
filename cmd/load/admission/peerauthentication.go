package admission

import (
	"fmt"
	"slices"

	security "istio.io/api/security/v1beta1"
)

// peerAuthentication checks a PeerAuthentication.
// Source: pkg/config/validation/validation.go, ValidatePeerAuthentication.
func (c *checker) peerAuthentication(spec *security.PeerAuthentication) {
	const field = "spec.portLevelMtls"
	levels := spec.GetPortLevelMtls()
	if len(spec.GetSelector().GetMatchLabels()) == 0 && len(levels) > 0 {
		c.refuse(field, "mesh/namespace peer authentication cannot have port level mTLS")
	}
	if spec.PortLevelMtls != nil && len(levels) == 0 {
		c.refuse(field, "port level mTLS, if defined, must have at least one element")
	}
	var ports []uint32
	for port := range levels {
		ports = append(ports, port)
	}
	slices.Sort(ports)
	for _, port := range ports {
		if port == 0 || port > 65535 {
			c.refuse(fmt.Sprintf("%s[%d]", field, port), "port must be in range 1..65535")
		}
	}
	c.selector(spec.GetSelector())
}

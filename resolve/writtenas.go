package resolve

import "strings"

// writtenAs tells where a user wrote what istiod made: fields of an internal resource, and for each
// the resource and field it was made of. A resource that users write themselves has none.
type writtenAs map[string]Ref

// at finds the field: the longest of those known that it is or lies within. What is deeper in it has
// no counterpart, and the place found stands for it. Nothing is found for a field that was not made.
func (w writtenAs) at(field string) (Ref, bool) {
	for end := len(field); end > 0; end = strings.LastIndexAny(field[:end], ".[") {
		if ref, ok := w[field[:end]]; ok {
			return ref, true
		}
	}
	return Ref{}, false
}

// At is where a field of the VirtualService was written.
func (vs *VirtualService) At(field string) Ref {
	if ref, ok := vs.written.at(field); ok {
		return ref
	}
	if vs.written != nil {
		return vs.Ref.Object()
	}
	return vs.Ref.At(field)
}

// At is where a field of the gateway was written.
func (c *GatewayConfig) At(field string) Ref {
	if ref, ok := c.written.at(field); ok {
		return ref
	}
	if c.written != nil {
		return c.Ref.Object()
	}
	return c.Ref.At(field)
}

// At is where a field of the server was written; an empty field is the server itself.
func (s *GatewayServer) At(field string) Ref {
	if field != "" {
		field = "." + field
	}
	return s.Gateway.At(pathIndex("spec.servers", s.index) + field)
}

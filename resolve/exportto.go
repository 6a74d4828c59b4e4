package resolve

import "slices"

// ExportTo is the visibility of a Service, ServiceEntry, VirtualService or
// DestinationRule.
//
// 1. "*" beats every other entry: visible everywhere.
// 2. Without "*", "~" hides the object, from its own namespace too. A service that is looked up by its name and
// namespace is found all the same where "~" stands beside a namespace that sees it.
// 3. "." is the object's own namespace; other entries are namespace names. A list
// that names neither "." nor the own namespace hides the object from its own namespace.
//
// Source: pilot/pkg/model/push_context.go, initServiceRegistry, initVirtualServices, IsServiceVisible.
type ExportTo struct {
	public     bool
	none       bool
	namespaces []string
}

// PublicExport is visible everywhere.
var PublicExport = ExportTo{public: true}

// NewExportTo reads an exportTo list of an object in the namespace; an empty
// list stands for the mesh default given.
func NewExportTo(list []string, namespace string, meshDefault []string) ExportTo {
	if len(list) == 0 {
		list = meshDefault
	}
	var e ExportTo
	for _, v := range list {
		switch v {
		case "*":
			return PublicExport
		case "~":
			e.none = true
		case ".":
			e.namespaces = append(e.namespaces, namespace)
		default:
			e.namespaces = append(e.namespaces, v)
		}
	}
	if len(list) == 0 {
		return PublicExport
	}
	slices.Sort(e.namespaces)
	e.namespaces = slices.Compact(e.namespaces)
	return e
}

// Public reports whether the object is visible everywhere.
func (e ExportTo) Public() bool { return e.public }

// Namespaces are the namespaces the object is visible in, sorted, if it is not public.
func (e ExportTo) Namespaces() []string {
	if e.none {
		return nil
	}
	return e.namespaces
}

// VisibleIn reports whether proxies of the namespace see the object.
func (e ExportTo) VisibleIn(namespace string) bool {
	return !e.none && e.NamedFor(namespace)
}

// NamedFor reports whether proxies of the namespace find a service that they look up by name and namespace.
func (e ExportTo) NamedFor(namespace string) bool {
	return e.public || slices.Contains(e.namespaces, namespace)
}

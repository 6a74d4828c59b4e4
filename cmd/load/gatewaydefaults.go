package load

import (
	k8sgateway "sigs.k8s.io/gateway-api/apis/v1"
)

func defaultGateway(spec *k8sgateway.GatewaySpec) {
	for i := range spec.Listeners {
		l := &spec.Listeners[i]
		orDefault(&l.AllowedRoutes, k8sgateway.AllowedRoutes{})
		orDefault(&l.AllowedRoutes.Namespaces, k8sgateway.RouteNamespaces{})
		orDefault(&l.AllowedRoutes.Namespaces.From, k8sgateway.NamespacesFromSame)
		for j := range l.AllowedRoutes.Kinds {
			orDefault(&l.AllowedRoutes.Kinds[j].Group, k8sgateway.GroupName)
		}
		if l.TLS == nil {
			continue
		}
		orDefault(&l.TLS.Mode, k8sgateway.TLSModeTerminate)
		for j := range l.TLS.CertificateRefs {
			orDefault(&l.TLS.CertificateRefs[j].Group, "")
			orDefault(&l.TLS.CertificateRefs[j].Kind, "Secret")
		}
	}
	for i := range spec.Addresses {
		orDefault(&spec.Addresses[i].Type, k8sgateway.IPAddressType)
	}
	if spec.AllowedListeners != nil {
		orDefault(&spec.AllowedListeners.Namespaces, k8sgateway.ListenerNamespaces{})
		orDefault(&spec.AllowedListeners.Namespaces.From, k8sgateway.NamespacesFromNone)
	}
}

func defaultParents(refs []k8sgateway.ParentReference) {
	for i := range refs {
		orDefault(&refs[i].Group, k8sgateway.GroupName)
		orDefault(&refs[i].Kind, "Gateway")
	}
}

func defaultBackend(ref *k8sgateway.BackendObjectReference) {
	orDefault(&ref.Group, "")
	orDefault(&ref.Kind, "Service")
}

func defaultHTTPRoute(spec *k8sgateway.HTTPRouteSpec) {
	defaultParents(spec.ParentRefs)
	if spec.Rules == nil {
		spec.Rules = []k8sgateway.HTTPRouteRule{{}}
	}
	for i := range spec.Rules {
		rule := &spec.Rules[i]
		if rule.Matches == nil {
			rule.Matches = []k8sgateway.HTTPRouteMatch{{}}
		}
		for j := range rule.Matches {
			defaultHTTPMatch(&rule.Matches[j])
		}
		defaultHTTPFilters(rule.Filters)
		for j := range rule.BackendRefs {
			defaultBackend(&rule.BackendRefs[j].BackendObjectReference)
			orDefault(&rule.BackendRefs[j].Weight, 1)
			defaultHTTPFilters(rule.BackendRefs[j].Filters)
		}
	}
}

func defaultHTTPMatch(m *k8sgateway.HTTPRouteMatch) {
	orDefault(&m.Path, k8sgateway.HTTPPathMatch{})
	orDefault(&m.Path.Type, k8sgateway.PathMatchPathPrefix)
	orDefault(&m.Path.Value, "/")
	for i := range m.Headers {
		orDefault(&m.Headers[i].Type, k8sgateway.HeaderMatchExact)
	}
	for i := range m.QueryParams {
		orDefault(&m.QueryParams[i].Type, k8sgateway.QueryParamMatchExact)
	}
}

func defaultHTTPFilters(filters []k8sgateway.HTTPRouteFilter) {
	for i := range filters {
		if f := filters[i].RequestRedirect; f != nil {
			orDefault(&f.StatusCode, 302)
		}
		if f := filters[i].RequestMirror; f != nil {
			defaultBackend(&f.BackendRef)
			defaultFraction(f.Fraction)
		}
		if f := filters[i].ExternalAuth; f != nil {
			defaultBackend(&f.BackendRef)
		}
		if f := filters[i].CORS; f != nil && f.MaxAge == 0 {
			f.MaxAge = 5
		}
	}
}

func defaultFraction(f *k8sgateway.Fraction) {
	if f != nil {
		orDefault(&f.Denominator, 100)
	}
}

func defaultGRPCRoute(spec *k8sgateway.GRPCRouteSpec) {
	defaultParents(spec.ParentRefs)
	for i := range spec.Rules {
		rule := &spec.Rules[i]
		for j := range rule.Matches {
			if m := rule.Matches[j].Method; m != nil {
				orDefault(&m.Type, k8sgateway.GRPCMethodMatchExact)
			}
			for k := range rule.Matches[j].Headers {
				orDefault(&rule.Matches[j].Headers[k].Type, k8sgateway.GRPCHeaderMatchExact)
			}
		}
		defaultGRPCFilters(rule.Filters)
		for j := range rule.BackendRefs {
			defaultBackend(&rule.BackendRefs[j].BackendObjectReference)
			orDefault(&rule.BackendRefs[j].Weight, 1)
			defaultGRPCFilters(rule.BackendRefs[j].Filters)
		}
	}
}

func defaultGRPCFilters(filters []k8sgateway.GRPCRouteFilter) {
	for i := range filters {
		if f := filters[i].RequestMirror; f != nil {
			defaultBackend(&f.BackendRef)
			defaultFraction(f.Fraction)
		}
	}
}

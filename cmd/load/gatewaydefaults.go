package load

import (
	inference "sigs.k8s.io/gateway-api-inference-extension/api/v1"
	k8sgateway "sigs.k8s.io/gateway-api/apis/v1"
	k8sgatewayx "sigs.k8s.io/gateway-api/apisx/v1alpha1"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// What the schemas of the Gateway API's CRDs fill in, as far as it is in the spec of the kinds that are read.
//
//  1. A default stands only inside an object that is written: a listener without tls gets no tls.mode.
//  2. A list that is written empty stays empty. An HTTPRoute without rules gets one, which matches every path; one
//     with a rule without matches, too.
//  3. GatewayClass, ReferenceGrant and BackendTLSPolicy have no defaults in their specs.
//
// A test compares this with the schemas.
//
// Source: sigs.k8s.io/gateway-api, config/crd; sigs.k8s.io/gateway-api-inference-extension, config/crd.
func setGatewayDefaults(object resolve.Object) {
	switch o := object.(type) {
	case *k8sgateway.Gateway:
		defaultGateway(&o.Spec)
	case *k8sgateway.ListenerSet:
		orDefault(&o.Spec.ParentRef.Group, k8sgateway.GroupName)
		orDefault(&o.Spec.ParentRef.Kind, "Gateway")
		for i := range o.Spec.Listeners {
			defaultListener(&o.Spec.Listeners[i].AllowedRoutes, o.Spec.Listeners[i].TLS)
		}
	case *k8sgateway.HTTPRoute:
		defaultHTTPRoute(&o.Spec)
	case *k8sgateway.GRPCRoute:
		defaultGRPCRoute(&o.Spec)
	case *k8sgateway.TLSRoute:
		defaultParents(o.Spec.ParentRefs)
		for i := range o.Spec.Rules {
			defaultBackends(o.Spec.Rules[i].BackendRefs)
		}
	case *k8sgateway.TCPRoute:
		defaultParents(o.Spec.ParentRefs)
		for i := range o.Spec.Rules {
			defaultBackends(o.Spec.Rules[i].BackendRefs)
		}
	case *k8sgateway.UDPRoute:
		defaultParents(o.Spec.ParentRefs)
		for i := range o.Spec.Rules {
			defaultBackends(o.Spec.Rules[i].BackendRefs)
		}
	case *k8sgatewayx.XBackendTrafficPolicy:
		defaultTrafficPolicy(&o.Spec)
	case *inference.InferencePool:
		defaultInferencePool(&o.Spec)
	}
}

func defaultGateway(spec *k8sgateway.GatewaySpec) {
	for i := range spec.Listeners {
		defaultListener(&spec.Listeners[i].AllowedRoutes, spec.Listeners[i].TLS)
	}
	for i := range spec.Addresses {
		orDefault(&spec.Addresses[i].Type, k8sgateway.IPAddressType)
	}
	if spec.AllowedListeners != nil {
		orDefault(&spec.AllowedListeners.Namespaces, k8sgateway.ListenerNamespaces{})
		orDefault(&spec.AllowedListeners.Namespaces.From, k8sgateway.NamespacesFromNone)
	}
	if spec.TLS != nil {
		defaultGatewayTLS(spec.TLS)
	}
}

func defaultGatewayTLS(tls *k8sgateway.GatewayTLSConfig) {
	if tls.Backend != nil && tls.Backend.ClientCertificateRef != nil {
		defaultSecret(tls.Backend.ClientCertificateRef)
	}
	if tls.Frontend == nil {
		return
	}
	defaultFrontend(tls.Frontend.Default.Validation)
	for i := range tls.Frontend.PerPort {
		defaultFrontend(tls.Frontend.PerPort[i].TLS.Validation)
	}
}

func defaultFrontend(validation *k8sgateway.FrontendTLSValidation) {
	if validation != nil {
		orEmpty(&validation.Mode, k8sgateway.AllowValidOnly)
	}
}

func defaultListener(allowed **k8sgateway.AllowedRoutes, tls *k8sgateway.ListenerTLSConfig) {
	orDefault(allowed, k8sgateway.AllowedRoutes{})
	orDefault(&(*allowed).Namespaces, k8sgateway.RouteNamespaces{})
	orDefault(&(*allowed).Namespaces.From, k8sgateway.NamespacesFromSame)
	for i := range (*allowed).Kinds {
		orDefault(&(*allowed).Kinds[i].Group, k8sgateway.GroupName)
	}
	if tls == nil {
		return
	}
	orDefault(&tls.Mode, k8sgateway.TLSModeTerminate)
	for i := range tls.CertificateRefs {
		defaultSecret(&tls.CertificateRefs[i])
	}
}

func defaultSecret(ref *k8sgateway.SecretObjectReference) {
	orDefault(&ref.Group, "")
	orDefault(&ref.Kind, "Secret")
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

func defaultWeighted(ref *k8sgateway.BackendRef) {
	defaultBackend(&ref.BackendObjectReference)
	orDefault(&ref.Weight, 1)
}

func defaultBackends(refs []k8sgateway.BackendRef) {
	for i := range refs {
		defaultWeighted(&refs[i])
	}
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
			defaultWeighted(&rule.BackendRefs[j].BackendRef)
			defaultHTTPFilters(rule.BackendRefs[j].Filters)
		}
		defaultSession(rule.SessionPersistence)
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

func defaultSession(s *k8sgateway.SessionPersistence) {
	if s == nil {
		return
	}
	orDefault(&s.Type, k8sgateway.CookieBasedSessionPersistence)
	if s.CookieConfig != nil {
		orDefault(&s.CookieConfig.LifetimeType, k8sgateway.SessionCookieLifetimeType)
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
			defaultWeighted(&rule.BackendRefs[j].BackendRef)
			defaultGRPCFilters(rule.BackendRefs[j].Filters)
		}
		defaultSession(rule.SessionPersistence)
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

func defaultTrafficPolicy(spec *k8sgatewayx.BackendTrafficPolicySpec) {
	if r := spec.RetryConstraint; r != nil {
		orDefault(&r.Budget, k8sgatewayx.BudgetDetails{})
		orDefault(&r.Budget.Percent, 20)
		orDefault(&r.Budget.Interval, "10s")
		if r.MinRetryRate == nil {
			count, interval := 10, k8sgatewayx.Duration("1s")
			r.MinRetryRate = &k8sgatewayx.RequestRate{Count: &count, Interval: &interval}
		}
	}
	defaultSession(spec.SessionPersistence)
}

func defaultInferencePool(spec *inference.InferencePoolSpec) {
	orEmpty(&spec.AppProtocol, inference.AppProtocolHTTP)
	orDefault(&spec.EndpointPickerRef.Group, "")
	orEmpty(&spec.EndpointPickerRef.Kind, "Service")
	orEmpty(&spec.EndpointPickerRef.FailureMode, inference.EndpointPickerFailClose)
}

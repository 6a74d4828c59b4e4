package load

import (
	"fmt"

	k8sgateway "sigs.k8s.io/gateway-api/apis/v1"
)

func (r *refusals) gateway(spec *k8sgateway.GatewaySpec) {
	if spec.GatewayClassName == "" {
		r.say("a Gateway needs a class", "spec.gatewayClassName")
	}
	if len(spec.Listeners) == 0 {
		r.say("a Gateway needs a listener", "spec.listeners")
	}
	r.listeners(spec.Listeners)
	for i := range spec.Listeners {
		if spec.Listeners[i].Port == 0 {
			r.say("a listener needs a port", "spec.listeners[%d].port", i)
		}
	}
}

func (r *refusals) listeners(listeners []k8sgateway.Listener) {
	for i := range listeners {
		l := &listeners[i]
		r.hostname(l.Hostname, "spec.listeners[%d].hostname", i)
		r.listenerProtocol(l, i)
		for j := range listeners[:i] {
			other := &listeners[j]
			if other.Name == l.Name {
				r.say(fmt.Sprintf("the name %q is that of listeners[%d]", l.Name, j), "spec.listeners[%d].name", i)
			}
			if other.Port == l.Port && l.Port != 0 && other.Protocol == l.Protocol && sameHostname(other.Hostname, l.Hostname) {
				r.say(fmt.Sprintf("port, protocol and hostname are those of listeners[%d]", j), "spec.listeners[%d]", i)
			}
		}
	}
}

func sameHostname(a, b *k8sgateway.Hostname) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

func (r *refusals) listenerProtocol(l *k8sgateway.Listener, i int) {
	plain := l.Protocol == k8sgateway.HTTPProtocolType || l.Protocol == k8sgateway.TCPProtocolType || l.Protocol == k8sgateway.UDPProtocolType
	switch {
	case l.Protocol == "":
		r.say("a listener needs a protocol", "spec.listeners[%d].protocol", i)
	case plain && l.TLS != nil:
		r.say(fmt.Sprintf("protocol %s has no tls", l.Protocol), "spec.listeners[%d].tls", i)
	case l.Protocol == k8sgateway.TLSProtocolType && l.TLS == nil:
		r.say("protocol TLS needs tls.mode", "spec.listeners[%d]", i)
	case l.Protocol == k8sgateway.HTTPSProtocolType && l.TLS != nil && *l.TLS.Mode != k8sgateway.TLSModeTerminate:
		r.say("protocol HTTPS needs mode Terminate", "spec.listeners[%d].tls.mode", i)
	}
	if l.TLS != nil && *l.TLS.Mode == k8sgateway.TLSModeTerminate && len(l.TLS.CertificateRefs)+len(l.TLS.Options) == 0 {
		r.say("mode Terminate needs certificateRefs or options", "spec.listeners[%d].tls", i)
	}
	if plain && l.Protocol != k8sgateway.HTTPProtocolType && l.Hostname != nil && *l.Hostname != "" {
		r.say(fmt.Sprintf("protocol %s has no hostname", l.Protocol), "spec.listeners[%d].hostname", i)
	}
}

//go:build integ

package integration

import (
	"net/netip"

	"k8s.io/apimachinery/pkg/types"

	"istio.io/istio/pkg/http/headers"
	"istio.io/istio/pkg/test"
	"istio.io/istio/pkg/test/echo/common/scheme"
	"istio.io/istio/pkg/test/framework/components/cluster"
	"istio.io/istio/pkg/test/framework/components/echo"
	"istio.io/istio/pkg/test/framework/components/echo/check"
	"istio.io/istio/pkg/test/framework/components/istio/ingress"
)

// Ingresses is the one ingress gateway.
func (i *install) Ingresses() ingress.Instances { return ingress.Instances{&gateway{suite: i.suite}} }

// IngressFor is the one ingress gateway.
func (i *install) IngressFor(cluster.Cluster) ingress.Instance { return &gateway{suite: i.suite} }

// CustomIngressFor is the gateway that istiod would deploy for a Gateway of the Gateway API.
func (i *install) CustomIngressFor(_ cluster.Cluster, service types.NamespacedName, _ string) ingress.Instance {
	return &gateway{suite: i.suite, deployed: service}
}

// gateway is the ingress gateway; a call by it comes from outside the cluster.
type gateway struct {
	ingress.Instance
	suite *suite
	// deployed is what istiod makes for a Gateway of the Gateway API; zero for the one that is installed.
	deployed types.NamespacedName
}

// CallOrFail hands the call over, with the ports that the schemes have at the gateway.
func (g *gateway) CallOrFail(t test.Failer, o echo.CallOptions) echo.CallResult {
	t.Helper()
	if o.Check == nil {
		o.Check = check.OK()
	}
	o = o.DeepCopy()
	if o.Port.ServicePort == 0 {
		if o.Scheme == "" {
			var err error
			if o.Scheme, err = o.Port.Scheme(); err != nil {
				t.Fatal(err)
			}
		}
		o.Port.ServicePort = map[scheme.Instance]int{scheme.HTTP: 80, scheme.HTTPS: 443, scheme.TCP: 31400}[o.Scheme]
	}
	o.HTTP.Headers = o.HTTP.Headers.Clone()
	if host := o.GetHost(); host != "" {
		if o.HTTP.Headers == nil {
			o.HTTP.Headers = headers.New().Build()
		}
		o.HTTP.Headers.Set(headers.Host, host)
	}
	o.Address = gatewayAddress
	if err := o.FillDefaults(); err != nil {
		t.Fatal(err)
	}
	return g.suite.call(t, g, nil, o)
}

func (g *gateway) Cluster() cluster.Cluster          { return g.suite.cluster }
func (g *gateway) ServiceName() string               { return g.name().Name }
func (g *gateway) Namespace() string                 { return g.name().Namespace }
func (g *gateway) HTTPAddresses() ([]string, []int)  { return g.AddressesForPort(80) }
func (g *gateway) HTTPSAddresses() ([]string, []int) { return g.AddressesForPort(443) }
func (g *gateway) TCPAddresses() ([]string, []int)   { return g.AddressesForPort(31400) }
func (g *gateway) AddressesForPort(port int) ([]string, []int) {
	return []string{gatewayAddress}, []int{port}
}

// DiscoveryAddresses is where istiod would be reached from outside.
func (g *gateway) DiscoveryAddresses() []netip.AddrPort {
	return []netip.AddrPort{netip.AddrPortFrom(netip.MustParseAddr(gatewayAddress), 15012)}
}

func (g *gateway) name() types.NamespacedName {
	if g.deployed.Name != "" {
		return g.deployed
	}
	return types.NamespacedName{Namespace: systemNamespace, Name: gatewayName}
}

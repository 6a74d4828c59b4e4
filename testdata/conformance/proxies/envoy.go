package proxies

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/proto"

	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/evaluator"
)

// What the addresses of a proxy on the loopback device are for.
const (
	innerPurpose, dnsPurpose, entryPurpose = 6, 53, 100

	adminPort = 62999
	// startTime is how long a proxy may take until it is ready.
	startTime = 20 * time.Second
)

// envoy is one running proxy.
type envoy struct {
	lab     *Lab
	machine *evaluator.Machine
	number  uint32

	once       sync.Once
	err        error
	adaptation *adaptation
	resources  *resources
	dns        *resolver
	command    *exec.Cmd

	// read is how much of the log has been read.
	reading sync.Mutex
	read    int64
}

func (e *envoy) start() error {
	keys, err := publicKeys()
	if err != nil {
		return err
	}
	e.adaptation = &adaptation{
		proxy: e.machine.Proxy, entry: loopback(entryPurpose, e.number), inner: loopback(innerPurpose, e.number),
		log: filepath.Join(e.lab.dir, fmt.Sprint(e.number, ".log")), keys: keys, dns: netip.AddrPortFrom(loopback(dnsPurpose, e.number), 53),
	}
	if e.resources, err = e.adaptation.resources(); err != nil {
		return err
	}
	e.lab.mutex.Lock()
	maps.Copy(e.lab.expected, e.resources.expected)
	e.lab.mutex.Unlock()
	for port := range e.ports() {
		if err := e.lab.listen(port); err != nil {
			return err
		}
	}
	if e.dns, err = resolve(e.lab, e.machine, e.adaptation.dns); err != nil {
		return err
	}
	e.lab.xds.set(e.node(), e.resources)
	text, err := json.MarshalIndent(e.bootstrap(), "", " ")
	if err != nil {
		return err
	}
	base := filepath.Join(e.lab.dir, fmt.Sprint(e.number))
	if err := os.WriteFile(base+".json", text, 0o600); err != nil {
		return err
	}
	if err := os.WriteFile(e.adaptation.log, nil, 0o600); err != nil {
		return err
	}
	e.command = exec.Command(e.lab.binary, "-c", base+".json", "--concurrency", "1", "--disable-hot-restart", "--log-level", "warning",
		"--log-path", base+".err", "--file-flush-interval-msec", "1")
	mortal(e.command)
	if err := e.command.Start(); err != nil {
		return err
	}
	return e.wait(base + ".err")
}

func (e *envoy) node() string { return fmt.Sprint(e.number, " ", e.machine.Name) }

// ports are those to which the proxy may connect, other than to where a connection was headed already.
func (e *envoy) ports() map[uint16]bool {
	out := map[uint16]bool{80: true, 443: true} // of a dynamic forward proxy
	collect := func(m proto.Message) {
		if s, ok := m.(*core.SocketAddress); ok && s.GetPortValue() < entryPort {
			out[uint16(s.GetPortValue())] = true
		}
	}
	for _, c := range e.machine.Proxy.Clusters {
		rewrite(proto.CloneOf(c), collect)
		out[uint16(c.GetOriginalDstLbConfig().GetUpstreamPortOverride().GetValue())] = true
	}
	for _, a := range e.machine.Proxy.Endpoints {
		rewrite(proto.CloneOf(a), collect)
	}
	return out
}

// bootstrap is what istio-agent's is to the configuration: node, control plane, agent, DNS, and the runtime's flags
// (istio, pkg/bootstrap/config.go, extractRuntimeFlags).
func (e *envoy) bootstrap() any {
	type object = map[string]any
	address := func(at netip.AddrPort) object {
		return object{"socket_address": object{"address": at.Addr().String(), "port_value": at.Port()}}
	}
	static := func(name string) object {
		return object{
			"name": name, "type": "STATIC", "connect_timeout": "5s",
			"typed_extension_protocol_options": object{"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": object{
				"@type":                typePrefix + "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
				"explicit_http_config": object{"http2_protocol_options": object{}},
			}},
			"load_assignment": object{"cluster_name": name, "endpoints": []object{{"lb_endpoints": []object{{"endpoint": object{
				"address": address(e.lab.xds.address),
			}}}}}},
		}
	}
	ads := object{"ads": object{}, "resource_api_version": "V3"}
	return object{
		"node":  object{"id": e.node(), "cluster": "test"},
		"admin": object{"address": address(netip.AddrPortFrom(e.adaptation.entry, adminPort))},
		"dynamic_resources": object{
			"lds_config": ads, "cds_config": ads,
			"ads_config": object{"api_type": "GRPC", "transport_api_version": "V3", "grpc_services": []object{{"envoy_grpc": object{"cluster_name": "xds-grpc"}}}},
		},
		"static_resources": object{"clusters": []object{static("xds-grpc"), static("sds-grpc")}},
		"cluster_manager":  object{"upstream_bind_config": object{"source_address": object{"address": e.machine.Address.String(), "port_value": 0}}},
		"typed_dns_resolver_config": object{"name": "envoy.network.dns_resolver.cares", "typed_config": object{
			"@type":                typePrefix + "envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig",
			"resolvers":            []object{address(e.dns.address)},
			"dns_resolver_options": object{"no_default_search_domain": true},
		}},
		"bootstrap_extensions": []object{{"name": "envoy.bootstrap.internal_listener", "typed_config": object{
			"@type": typePrefix + "envoy.extensions.bootstrap.internal_listener.v3.InternalListener",
		}}},
		"layered_runtime": object{"layers": []object{{"name": "global config", "static_layer": object{
			"re2.max_program_size.error_level": "32768",
			"envoy.deprecated_features:envoy.config.listener.v3.Listener.hidden_envoy_deprecated_use_original_dst": true,
			"envoy.reloadable_features.http_reject_path_with_fragment":                                             false,
			"envoy.reloadable_features.coalesce_lb_rebuilds_on_batch_update":                                       false,
		}}}},
	}
}

// wait is over when the proxy has all it was sent, or has refused it.
func (e *envoy) wait(log string) error {
	client := http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	url := fmt.Sprintf("http://%s/ready", netip.AddrPortFrom(e.adaptation.entry, adminPort))
	for end := time.Now().Add(startTime); time.Now().Before(end); time.Sleep(3 * time.Millisecond) {
		answer, err := client.Get(url)
		if err != nil {
			if text, _ := os.ReadFile(log); strings.Contains(string(text), "[critical]") {
				return fmt.Errorf("the Envoy of %s: %s", e.machine.Name, text)
			}
			continue
		}
		answer.Body.Close() //nolint:errcheck // it is not read
		if answer.StatusCode == http.StatusOK {
			return nil
		}
	}
	text, _ := os.ReadFile(log)
	return fmt.Errorf("the Envoy of %s is not ready after %s: %s", e.machine.Name, startTime, text)
}

func (e *envoy) stop() {
	if e.dns != nil {
		e.dns.close()
	}
	if e.command != nil && e.command.Process != nil {
		_ = e.command.Process.Kill()
		_ = e.command.Wait()
	}
}

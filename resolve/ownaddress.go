package resolve

// A pod that connects to its own address does so by its loopback device, where the network's rules let what is not
// the proxy's pass: neither its own sidecar's outbound listener nor its inbound one sees the request.
//
//  1. An address that is dialled as such, or a headless Service with no other pod: it is the pod's own. A loopback
//     address always is.
//  2. A headless Service with other pods as well: which address DNS gives is not known. It is taken for another's.
//
// Source: tools/istio-iptables/pkg/capture/run.go, Run (calls of a pod to itself by its endpoint address).

// Rules of a pod that calls itself.
const (
	RuleCaptureOwnAddress   RuleID = "capture/own-address"
	RuleCaptureMaybeAddress RuleID = "capture/own-address-among-others"
)

var ownAddressRules = []Rule{
	{
		ID: RuleCaptureOwnAddress, Stage: StageCapture,
		Says:     "A pod that calls its own address passes no proxy, neither as a client nor as a server.",
		Template: "%s calls its own address: no proxy sees the request, and no policy applies",
		Source:   "tools/istio-iptables/pkg/capture/run.go, Run",
	},
	{
		ID: RuleCaptureMaybeAddress, Stage: StageCapture,
		Says:     "Where a headless Service has the client's pod among others, the address is taken for that of another pod.",
		Template: "%s is one of the %d pods of %s: a request to its own address passes no proxy; taken for one to another pod",
		Source:   "tools/istio-iptables/pkg/capture/run.go, Run",
	},
}

// OwnAddress reports whether the client dials its own address. It is Unknown where that is one of several; the
// step is for True and Unknown.
func (s *Snapshot) OwnAddress(client *Workload, d Dialled) (Truth, Step) {
	if ip := d.Address.Prefix; ip.IsValid() && ip.Addr().IsLoopback() {
		return True, NewStep(RuleCaptureOwnAddress, Applied, client.Owner, client.Owner.String())
	}
	if client.Anonymous {
		return False, Step{}
	}
	if !d.Headless || d.Service == nil {
		for _, ip := range client.Addresses {
			if d.Address.Prefix.IsValid() && d.Address.Prefix.IsSingleIP() && d.Address.Prefix.Addr() == ip {
				return True, NewStep(RuleCaptureOwnAddress, Applied, client.Owner, client.Owner.String())
			}
		}
		return False, Step{}
	}
	pods, own := 0, false
	for _, e := range s.NamedEndpoints(d.Service, d.Pod, d.Port) {
		pods += max(e.Count, 1)
		own = own || e.Workload != nil && e.Workload.SamePod(client)
	}
	switch {
	case !own:
		return False, Step{}
	case pods == 1:
		return True, NewStep(RuleCaptureOwnAddress, Applied, client.Owner, client.Owner.String())
	}
	return Unknown, NewStep(RuleCaptureMaybeAddress, Warned, d.Service.Ref, client.Owner.String(), pods, d.Service.Hostname)
}

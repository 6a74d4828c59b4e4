// Package proxies asks Envoy itself: it starts the proxies of a mesh with what a control plane generated for them, sends a
// request through a socket, and tells what came back, what arrived, and what each proxy logged.
//
// # The network
//
// A process that asks runs in a network namespace of its own (see Enclose), in which every address is the machine's
// (a local route for 0.0.0.0/0 on the loopback device). So endpoints, original destinations and the addresses of pods stay as
// they are in the configuration, and nothing reaches a network outside. For every port that is in use one socket of this process
// takes the connections to all addresses; the sender's address, to which each Envoy binds, tells who it is, and the process
// leads the connection on as the network and the traffic rules of a pod would: to the proxy of the pod, or to a program.
//
// Programs are played by this process (see answer): they speak whatever comes, HTTP/1.1, HTTP/2, TLS around it, or
// bytes, and tell what arrived.
//
// # What is not as istiod sends it
//
// All else an Envoy is sent over xDS as it is. Left out, or put in the place of something, is:
//
//   - The address to which a listener is bound: one of the loopback device for each proxy. The filter
//     original_dst, which asks Linux where a redirected connection was headed, gives way to proxy_protocol, which reads that, and
//     who sends, from the first line. Everything behind it (use_original_dst, the choice of a filter chain, ORIGINAL_DST clusters)
//     works on these addresses as on those from Linux.
//   - The address 127.0.0.6, from which a sidecar connects to its own program: one for each proxy.
//   - Istio's own filters, which a plain Envoy has not: istio.stats, metadata exchange and peer metadata, which decide
//     nothing, go. What istio.alpn does is done by Envoy's set_filter_state: ALPN by the protocol of the cluster.
//   - Wasm modules, which istiod sends apart from listeners: the trace takes them to let pass, and so they are left out.
//   - Access logs and tracing: each connection manager, TCP proxy and listener writes what a test has to know to a file.
//   - Names are resolved by this process, in which every name of the outside has an address.
//   - Outlier detection: an endpoint that fails for one request has to be there for the next.
//   - A connection is used for one request: the next may reach another endpoint, and a proxy that takes it for TCP logs it when
//     it ends.
//   - A fault's delay is short, and so is the wait for a secret that does not come (initial_fetch_timeout).
//   - Keys for tokens are one pair of the test's, with which the tokens of requests are signed anew, and certificates are
//     of two authorities made for the test: the mesh's, and another for everyone else.
package proxies

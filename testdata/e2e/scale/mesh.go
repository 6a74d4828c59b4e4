package scale

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"strings"
	"time"
)

// Mesh is the size of a mesh. The same size gives the same objects.
//
//  1. Services are spread over namespaces, [ServicesPerNamespace] to each. A service has a Service of one to three ports, with
//     the address that the API server gives out, an EndpointSlice, a ServiceAccount, a Deployment with its ReplicaSet and a former one, a
//     ConfigMap and a Secret. Pods are spread over the services, some with more, some with fewer.
//  2. A pod is what Istio's injector, the scheduler and the kubelet make of it: templates/pod.yaml.
//  3. Half of the services have a VirtualService, two thirds a DestinationRule, two thirds an AuthorizationPolicy,
//     every tenth an HTTPRoute.
//  4. A namespace has a PeerAuthentication, a ServiceEntry, a Telemetry, a CronJob, and what Kubernetes and Istio put
//     into each.
//  5. A node has [PodsPerNode] pods and some fifty images.
//  6. istio-system has istiod, an ingress gateway and its Gateway; ingress has a Gateway of the Gateway API.
type Mesh struct {
	Services, Pods int
}

const (
	// ServicesPerNamespace is how many services share a namespace.
	ServicesPerNamespace = 25
	// PodsPerNode is how many pods run on a node.
	PodsPerNode = 100
	// Version changes with what the same size gives.
	Version = 1
)

// Object is one of the mesh.
type Object struct {
	APIVersion, Kind, Namespace, Name string
	JSON                              string
}

// Request is a request from one namespace to another, whose route, subset and policies all decide something: the
// source for --from, and the URL.
func (m Mesh) Request() (from, url string) {
	to := m.Services / 3
	caller := m.caller(to)
	return m.namespace(caller) + "/deployment/" + m.service(caller), "http://" + m.service(to) + "." + m.namespace(to) + "/api/orders"
}

func (m Mesh) namespace(service int) string {
	return fmt.Sprintf("team-%03d", service/ServicesPerNamespace)
}
func (m Mesh) service(service int) string { return fmt.Sprintf("svc-%05d", service) }
func (m Mesh) caller(service int) int     { return (service + ServicesPerNamespace + 1) % m.Services }

// Objects are those of the mesh, namespaces before what is in them.
func (m Mesh) Objects() (iter.Seq[Object], error) {
	g := &generator{mesh: m, random: rand.New(rand.NewPCG(uint64(m.Services), uint64(m.Pods))), created: time.Date(2026, 5, 4, 10, 20, 30, 0, time.UTC)}
	if err := g.read(); err != nil {
		return nil, err
	}
	return func(yield func(Object) bool) {
		g.yield = yield
		g.all()
	}, nil
}

// generator makes the objects one after the other.
type generator struct {
	mesh            Mesh
	random          *rand.Rand
	created         time.Time
	byFile          map[string][]template
	current, former string
	pods            int
	yield           func(Object) bool
	// ended is set when no more objects are wanted.
	ended bool
}

func (g *generator) read() (err error) {
	g.byFile = map[string][]template{}
	for _, file := range []string{"mesh", "node", "namespace", "workload", "endpoints", "endpoint", "policies", "pod"} {
		if g.byFile[file], err = templates(file + ".yaml"); err != nil {
			return err
		}
	}
	g.current, g.former, err = workloadSpecs()
	return err
}

func (g *generator) all() {
	g.file("mesh", nil)
	for n := range (g.mesh.Pods + PodsPerNode - 1) / PodsPerNode {
		g.file("node", g.node(n*PodsPerNode).with("$IMAGES", g.images()))
	}
	for i := range g.mesh.Services {
		vars := variables{"$NS", g.mesh.namespace(i), "$NAME", g.mesh.service(i)}
		if i%ServicesPerNamespace == 0 {
			g.file("namespace", vars.with("$CERTIFICATE", strings.Repeat("MIIC/DCCAeSgAwIBAgIQ", 55)))
		}
		g.service(i, vars)
	}
}

// service writes a service and all that belongs to it.
func (g *generator) service(i int, vars variables) {
	pods := g.podsOf(i)
	vars = vars.with(
		"$CLUSTERIP", fmt.Sprintf("10.%d.%d.%d", 96+i>>16, i>>8&255, i&255), "$SERVICEUID", g.uid(), "$DEPLOYMENTUID", g.uid(), "$OWNERUID", g.uid(),
		"$CALLERNS", g.mesh.namespace(g.mesh.caller(i)), "$CALLER", g.mesh.service(g.mesh.caller(i)), "$PODS", fmt.Sprint(pods), "$COUNT", fmt.Sprint(pods),
	)
	g.file("workload", vars.with("$WORKLOAD", g.expand(g.current, vars), "$FORMER", g.expand(g.former, vars)))
	var endpoints []string
	for range pods {
		pod := g.node(g.pods).with(vars...).with(
			"$PODIP", fmt.Sprintf("10.%d.%d.%d", 128+g.pods>>16, g.pods>>8&255, g.pods&255), "$PODUID", g.uid(),
			"$POD", g.mesh.service(i)+"-7d9f6b5c4-"+g.suffix(), "$CONTAINERA", g.hash(), "$CONTAINERB", g.hash(), "$CONTAINERC", g.hash(),
		)
		endpoints = append(endpoints, g.expand(g.byFile["endpoint"][0].text, pod))
		g.file("pod", pod)
		g.pods++
	}
	ports, slicePorts := g.ports()
	g.file("endpoints", vars.with("$PORTS", ports, "$SLICEPORTS", slicePorts, "$ENDPOINTS", "["+strings.Join(endpoints, ",")+"]"))
	asked := i == g.mesh.Services/3 // that of Request has all, but an HTTPRoute
	for _, t := range g.byFile["policies"] {
		share := map[string]int{"DestinationRule": 67, "VirtualService": 50, "AuthorizationPolicy": 67, "HTTPRoute": 10}[t.kind]
		if g.random.IntN(100) < share || asked && t.kind != "HTTPRoute" {
			g.object(t, vars)
		}
	}
}

// podsOf is how many pods a service has: pairs of services share what two of the average have.
func (g *generator) podsOf(service int) int {
	m := g.mesh
	average := m.Pods / m.Services
	more := (service / 2) % average
	if service%2 == 1 {
		more = -more
	}
	return average + more
}

func (g *generator) ports() (ports, slicePorts string) {
	all := [][2]string{
		{`{"name":"http","port":80,"targetPort":"http","protocol":"TCP","appProtocol":"http"}`, `{"name":"http","port":8080,"protocol":"TCP","appProtocol":"http"}`},
		{`{"name":"http-metrics","port":9102,"targetPort":"metrics","protocol":"TCP"}`, `{"name":"http-metrics","port":9102,"protocol":"TCP"}`},
		{`{"name":"grpc","port":9090,"targetPort":9090,"protocol":"TCP"}`, `{"name":"grpc","port":9090,"protocol":"TCP"}`},
	}
	var a, b []string
	for _, p := range all[:1+g.random.IntN(3)] {
		a, b = append(a, p[0]), append(b, p[1])
	}
	return "[" + strings.Join(a, ",") + "]", "[" + strings.Join(b, ",") + "]"
}

// node is the one on which a pod runs.
func (g *generator) node(pod int) variables {
	n := pod / PodsPerNode
	return variables{
		"$NODE", fmt.Sprintf("node-%03d", n), "$HOSTIP", fmt.Sprintf("192.168.%d.%d", n>>8, n&255), "$ZONE", "eu-west-1" + string(rune('a'+n%3)),
	}
}

// images are what a kubelet tells of those on its node.
func (g *generator) images() string {
	var out []string
	for range 50 {
		name := fmt.Sprintf("registry.example.com/team-%03d/svc-%05d", g.random.IntN(200), g.random.IntN(5000))
		out = append(out, fmt.Sprintf(`{"names":["%s@sha256:%s","%s:1.4.%d"],"sizeBytes":%d}`, name, g.hash(), name, g.random.IntN(20), 50_000_000+g.random.IntN(400_000_000)))
	}
	return "[" + strings.Join(out, ",") + "]"
}

// file writes the objects of a file of templates.
func (g *generator) file(name string, vars variables) {
	for _, t := range g.byFile[name] {
		g.object(t, vars)
	}
}

func (g *generator) object(t template, vars variables) {
	if g.ended {
		return
	}
	g.created = g.created.Add(time.Second)
	r := vars.with("$UID", g.uid(), "$CREATED", g.created.Format(time.RFC3339)).replacer()
	g.ended = !g.yield(Object{APIVersion: t.apiVersion, Kind: t.kind, Namespace: r.Replace(t.namespace), Name: r.Replace(t.name), JSON: r.Replace(t.text)})
}

func (g *generator) expand(text string, vars variables) string { return vars.replacer().Replace(text) }

func (g *generator) uid() string {
	a, b := g.random.Uint64(), g.random.Uint64()
	return fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", a>>32, a>>16&0xffff, a&0xfff, b>>52, b&0xffffffffffff)
}

func (g *generator) hash() string {
	return fmt.Sprintf("%016x%016x%016x%016x", g.random.Uint64(), g.random.Uint64(), g.random.Uint64(), g.random.Uint64())
}

// suffix is what a ReplicaSet ends the names of its pods with.
func (g *generator) suffix() string {
	const letters = "bcdfghjklmnpqrstvwxz2456789"
	var out [5]byte
	for i := range out {
		out[i] = letters[g.random.IntN(len(letters))]
	}
	return string(out[:])
}

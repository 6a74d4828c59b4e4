package render

import (
	"maps"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// Document is the JSON document of a trace, an API object of its own
// (meshtrace.dev/v1alpha1, Trace). No field is left out when it is empty, and
// none is renamed or dropped within the version.
type Document struct {
	metav1.TypeMeta `json:",inline"`
	// ObjectMeta has a name only, made of the request's host, port and path.
	metav1.ObjectMeta `json:"metadata"`
	Request           Request   `json:"request"`
	Istio             Istio     `json:"istio"`
	Outcomes          []Outcome `json:"outcomes"`
	Hops              []Hop     `json:"hops"`
	// Overlooked are the steps about what was written for such requests and does not count for this one, or not as it reads.
	Overlooked []Step    `json:"overlooked"`
	Warnings   []Warning `json:"warnings"`
}

// Request is what was asked, and by whom.
type Request struct {
	Method  string            `json:"method"`
	Scheme  string            `json:"scheme"`
	Host    string            `json:"host"`
	Port    int               `json:"port"`
	Path    string            `json:"path"`
	Query   string            `json:"query"`
	Headers map[string]string `json:"headers"`
	Source  Source            `json:"source"`
}

// Source is who sends the request. Assumed says why, where nobody was named.
type Source struct {
	// Cluster is the remote cluster; left out for the one whose configuration istiod reads.
	Cluster        string `json:"cluster,omitempty"`
	Kind           string `json:"kind"`
	Namespace      string `json:"namespace"`
	Name           string `json:"name"`
	ServiceAccount string `json:"serviceAccount"`
	Principal      string `json:"principal"`
	Dataplane      string `json:"dataplane"`
	Assumed        string `json:"assumed"`
}

// Istio is the release that was followed, and where it was read: cluster, flag or default.
type Istio struct {
	Version string `json:"version"`
	From    string `json:"from"`
}

// Outcome is the fate of a share of such requests.
type Outcome struct {
	// Weight is in percent, with two decimals; the weights add up to 100.
	Weight              float64  `json:"weight"`
	Decision            string   `json:"decision"`
	HTTPStatus          int      `json:"httpStatus"`
	ResponseFlags       string   `json:"responseFlags"`
	ResponseCodeDetails string   `json:"responseCodeDetails"`
	Code                string   `json:"code"`
	Certainty           string   `json:"certainty"`
	Reason              string   `json:"reason"`
	Location            string   `json:"location"`
	By                  Resource `json:"by"`
	// Otherwise are the other ends that something not known could give these requests.
	Otherwise []Alternative `json:"otherwise"`
	// Hint are the fewest changes that together would turn a refusal; none is applied.
	Hint        []Change    `json:"hint"`
	Destination Destination `json:"destination"`
	// Forwarded is null where nothing arrives or it is not HTTP.
	Forwarded *Forwarded `json:"forwarded"`
	// Hops are indexes into the document's hops, in the order travelled.
	Hops []int `json:"hops"`
}

// Alternative is another end of an outcome's requests.
type Alternative struct {
	Decision            string   `json:"decision"`
	HTTPStatus          int      `json:"httpStatus"`
	ResponseFlags       string   `json:"responseFlags"`
	ResponseCodeDetails string   `json:"responseCodeDetails"`
	Code                string   `json:"code"`
	By                  Resource `json:"by"`
	Reason              string   `json:"reason"`
}

// Change is one edit of a resource, or of the request (op send, no resource).
type Change struct {
	// Op is add, remove, set, delete or send.
	Op       string   `json:"op"`
	Resource Resource `json:"resource"`
	// Value is in YAML's flow style; for send it is a header.
	Value string `json:"value"`
	Text  string `json:"text"`
}

// Destination is where the share of requests was sent.
type Destination struct {
	Host         string `json:"host"`
	Port         int    `json:"port"`
	Subset       string `json:"subset"`
	EnvoyCluster string `json:"envoyCluster"`
	// Workload is the one workload that answers; null where several do, or none.
	Workload   *Workload  `json:"workload"`
	Workloads  []Workload `json:"workloads"`
	Endpoints  int        `json:"endpoints"`
	TargetPort int        `json:"targetPort"`
}

// Workload names a workload as people do: by the Deployment, not the pod.
type Workload struct {
	// Cluster is the remote cluster; left out for the one whose configuration istiod reads.
	Cluster   string `json:"cluster,omitempty"`
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
}

// Forwarded is the request as it arrives: Headers are those configuration
// added or changed, Removed those it took away.
type Forwarded struct {
	Method  string            `json:"method"`
	Host    string            `json:"host"`
	Path    string            `json:"path"`
	Headers map[string]string `json:"headers"`
	Removed []string          `json:"removed"`
}

// Hop is one proxy the request passes.
type Hop struct {
	Proxy     string   `json:"proxy"`
	Direction string   `json:"direction"`
	Workload  Workload `json:"workload"`
	TLS       string   `json:"tls"`
	Peer      string   `json:"peer"`
	Envoy     Envoy    `json:"envoy"`
	Steps     []Step   `json:"steps"`
	// Omitted counts the skipped steps that the chosen detail left out.
	Omitted []Omission `json:"omitted"`
	// Facts are steps that decide nothing about the request: limits, replicas, where it is seen.
	Facts []Step `json:"facts"`
}

// Envoy names the objects of the hop's proxy as istioctl proxy-config shows them.
type Envoy struct {
	Listener    string `json:"listener"`
	FilterChain string `json:"filterChain"`
	RouteConfig string `json:"routeConfig"`
	VirtualHost string `json:"virtualHost"`
	Route       string `json:"route"`
	Cluster     string `json:"cluster"`
}

// Step is one stage of a hop with its verdict.
type Step struct {
	Stage    string   `json:"stage"`
	Verdict  string   `json:"verdict"`
	Rule     string   `json:"rule"`
	Resource Resource `json:"resource"`
	Expected string   `json:"expected"`
	Actual   string   `json:"actual"`
	Reason   string   `json:"reason"`
}

// Omission is a number of skipped steps of a stage that are not shown, and the
// index of the shown step they stood before.
type Omission struct {
	Stage  string `json:"stage"`
	Before int    `json:"before"`
	Count  int    `json:"count"`
}

// Resource is a resource, the field that counts, and where it was read: file
// and line, or "cluster". All are empty where Istio's own default decided.
type Resource struct {
	// Cluster is the remote cluster; left out for the one whose configuration istiod reads.
	Cluster   string `json:"cluster,omitempty"`
	Group     string `json:"group"`
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Field     string `json:"field"`
	Source    string `json:"source"`
}

// Warning is something not read or not modelled, and what was assumed instead.
type Warning struct {
	Resource Resource `json:"resource"`
	Message  string   `json:"message"`
}

// DeepCopyObject makes Document a runtime.Object.
func (d *Document) DeepCopyObject() runtime.Object {
	if d == nil {
		return nil
	}
	out := *d
	d.ObjectMeta.DeepCopyInto(&out.ObjectMeta)
	out.Request.Headers = maps.Clone(d.Request.Headers)
	out.Overlooked = slices.Clone(d.Overlooked)
	out.Warnings = slices.Clone(d.Warnings)
	out.Outcomes = slices.Clone(d.Outcomes)
	for i := range out.Outcomes {
		out.Outcomes[i] = d.Outcomes[i].deepCopy()
	}
	out.Hops = slices.Clone(d.Hops)
	for i := range out.Hops {
		out.Hops[i].Steps = slices.Clone(d.Hops[i].Steps)
		out.Hops[i].Omitted = slices.Clone(d.Hops[i].Omitted)
		out.Hops[i].Facts = slices.Clone(d.Hops[i].Facts)
	}
	return &out
}

func (o Outcome) deepCopy() Outcome {
	o.Hops = slices.Clone(o.Hops)
	o.Destination.Workloads = slices.Clone(o.Destination.Workloads)
	if o.Destination.Workload != nil {
		w := *o.Destination.Workload
		o.Destination.Workload = &w
	}
	if o.Forwarded != nil {
		f := *o.Forwarded
		f.Headers, f.Removed = maps.Clone(f.Headers), slices.Clone(f.Removed)
		o.Forwarded = &f
	}
	return o
}

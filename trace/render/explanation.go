package render

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// Explanation is the JSON document of `explain` (meshtrace.dev/v1alpha1, Explanation). No field is left out when it
// is empty, and none is renamed or dropped within the version.
type Explanation struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Istio             Istio     `json:"istio"`
	Hosts             []Host    `json:"hosts"`
	Warnings          []Warning `json:"warnings"`
}

// Host is what the proxies do with the requests for one port of a host.
type Host struct {
	Request Request      `json:"request"`
	Tables  []RouteTable `json:"tables"`
	// Ends is how the way ends where no proxy has a table.
	Ends Lead `json:"ends"`
}

// RouteTable is what one proxy does with them.
type RouteTable struct {
	// Proxy has the steps by which the table was found, and why other resources have no say in it.
	Proxy   Hop      `json:"proxy"`
	Domains []string `json:"domains"`
	HTTP    bool     `json:"http"`
	// RedirectsPlaintext is the field by which plaintext is redirected before any rule.
	RedirectsPlaintext Resource `json:"redirectsPlaintext"`
	Rules              []Route  `json:"rules"`
	// Rest is what becomes of what no rule takes; empty where the rules take everything.
	Rest   Lead    `json:"rest"`
	Guards []Guard `json:"guards"`
}

// Route is one rule of a table; Place is counted from 1.
type Route struct {
	Place       int      `json:"place"`
	Resource    Resource `json:"resource"`
	DelegatedBy Resource `json:"delegatedBy"`
	Name        string   `json:"name"`
	Match       string   `json:"match"`
	// MovedFrom is the place before istiod moved the rule, DeadBy that of the rule behind which nothing is left of what it would
	// take; 0 for neither.
	MovedFrom int `json:"movedFrom"`
	DeadBy    int `json:"deadBy"`
	// DeadTogether are the places of all the rules that take it, where no single one takes all.
	DeadTogether []int `json:"deadTogether"`
	Leads        Lead  `json:"leads"`
}

// Lead is where requests go from there: outcomes and hops as in a Trace, policies not asked.
type Lead struct {
	Outcomes []Outcome `json:"outcomes"`
	Hops     []Hop     `json:"hops"`
}

// Guard is what one receiving proxy asks for on a port.
type Guard struct {
	Workload Workload `json:"workload"`
	Port     int      `json:"port"`
	TCP      bool     `json:"tcp"`
	// MTLS is STRICT, PERMISSIVE or DISABLE; empty at a gateway.
	MTLS   string   `json:"mtls"`
	MTLSBy Resource `json:"mtlsBy"`
	// Tokens and Policies stand in the order of evaluation; those of action CUSTOM are asked before the tokens.
	Tokens   []TokenRule `json:"tokens"`
	Policies []Policy    `json:"policies"`
}

// TokenRule is a rule of a RequestAuthentication.
type TokenRule struct {
	Resource Resource `json:"resource"`
	Issuer   string   `json:"issuer"`
}

// Policy is an AuthorizationPolicy that applies.
type Policy struct {
	Resource Resource     `json:"resource"`
	Action   string       `json:"action"`
	Provider string       `json:"provider"`
	DryRun   bool         `json:"dryRun"`
	Rules    []PolicyRule `json:"rules"`
}

// PolicyRule is one of its rules. LeftOut says why istiod leaves it out.
type PolicyRule struct {
	Resource Resource `json:"resource"`
	Text     string   `json:"text"`
	LeftOut  string   `json:"leftOut"`
}

// NewExplanation is the document of some surveys; locate is as for [NewDocument].
func NewExplanation(surveys []*trace.Survey, locate func(resolve.Ref) string) *Explanation {
	if locate == nil {
		locate = func(resolve.Ref) string { return "" }
	}
	d := &Explanation{TypeMeta: metav1.TypeMeta{APIVersion: "meshtrace.dev/v1alpha1", Kind: "Explanation"}, Hosts: []Host{}, Warnings: []Warning{}}
	for _, s := range surveys {
		d.Name, d.Istio = documentName(trace.Request{Host: s.Request.Host}), Istio{Version: s.Istio.Release, From: s.Istio.From}
		host := Host{
			Request: requestDocument(&trace.Trace{Request: s.Request, Source: s.Source}),
			Tables:  []RouteTable{}, Ends: leadDocument(s.Ends, locate),
		}
		for _, t := range s.Tables {
			host.Tables = append(host.Tables, tableDocument(&t, locate))
		}
		d.Hosts = append(d.Hosts, host)
		for _, w := range s.Warnings {
			d.addWarning(Warning{Resource: resourceDocument(w.Ref, locate), Message: w.Message})
		}
	}
	return d
}

func (d *Explanation) addWarning(w Warning) {
	for _, other := range d.Warnings {
		if other == w {
			return
		}
	}
	d.Warnings = append(d.Warnings, w)
}

// MarshalJSON is as that of [Document].
func (d Explanation) MarshalJSON() ([]byte, error) {
	type plain Explanation
	return MarshalSafe(plain(d))
}

func tableDocument(t *trace.Table, locate func(resolve.Ref) string) RouteTable {
	out := RouteTable{
		Proxy: hopDocument(t.Hop, locate), Domains: append([]string{}, t.Domains...), HTTP: t.HTTP,
		RedirectsPlaintext: resourceDocument(t.RedirectsPlaintext, locate), Rules: []Route{}, Rest: leadDocument(t.Rest, locate), Guards: []Guard{},
	}
	for i, r := range t.Rules {
		last, together := 0, []int{}
		if n := len(r.DeadBy); n > 0 {
			last = r.DeadBy[n-1]
			if n > 1 {
				together = slices.Clone(r.DeadBy)
			}
		}
		out.Rules = append(out.Rules, Route{
			Place: i + 1, Resource: resourceDocument(r.Ref, locate), DelegatedBy: resourceDocument(r.Root, locate), Name: r.Name,
			Match: matchWords(r.Match), MovedFrom: r.From, DeadBy: last, DeadTogether: together, Leads: leadDocument(r.Leads, locate),
		})
	}
	for _, g := range t.AllGuards() {
		out.Guards = append(out.Guards, guardDocument(&g, locate))
	}
	return out
}

func leadDocument(t *trace.Trace, locate func(resolve.Ref) string) Lead {
	out := Lead{Outcomes: []Outcome{}, Hops: []Hop{}}
	if t == nil {
		return out
	}
	weights := percents(t.Outcomes)
	for i, o := range t.Outcomes {
		out.Outcomes = append(out.Outcomes, outcomeDocument(o, weights[i], locate))
	}
	for _, h := range t.Hops {
		out.Hops = append(out.Hops, hopDocument(h, locate))
	}
	return out
}

func guardDocument(g *trace.Guard, locate func(resolve.Ref) string) Guard {
	out := Guard{
		Workload: workloadDocument(g.Workload), Port: g.Port, TCP: g.TCP, MTLS: string(g.MTLS.Mode), MTLSBy: resourceDocument(g.MTLS.Ref, locate),
		Tokens: []TokenRule{}, Policies: []Policy{},
	}
	for _, t := range g.Policies.Tokens {
		out.Tokens = append(out.Tokens, TokenRule{Resource: resourceDocument(t.Ref, locate), Issuer: t.Issuer})
	}
	for _, p := range g.Policies.Authorization {
		policy := Policy{Resource: resourceDocument(p.Ref, locate), Action: p.Action, Provider: p.Provider, DryRun: p.DryRun, Rules: []PolicyRule{}}
		for _, r := range p.Rules {
			policy.Rules = append(policy.Rules, PolicyRule{Resource: resourceDocument(r.Ref, locate), Text: r.Text, LeftOut: r.LeftOut})
		}
		out.Policies = append(out.Policies, policy)
	}
	return out
}

//go:build integ

package integration

import (
	"maps"
	"slices"
	"strings"

	"istio.io/istio/pkg/test/framework/components/authz"

	"github.com/mesh-trace/kubectl-mesh-trace/trace"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/render"
)

// What an external authorizer says no trace tells; but the one that the security tests deploy is known. It
// allows a request whose header x-ext-authz is allow. Where there is no such header, it allows who runs as
// service account a.
//
// Source: istio.io/istio/samples/extauthz/cmd/extauthz/main.go.

// Answered is the trace with the outcome that the answer of that authorizer leaves.
func (c *Call) Answered(d *render.Document) *render.Document {
	out := *d
	out.Outcomes = slices.Clone(d.Outcomes)
	for i, o := range out.Outcomes {
		if len(o.Otherwise) == 0 || slices.ContainsFunc(o.Otherwise, func(a render.Alternative) bool { return a.Code != string(trace.CodeAuthorizerDenied) }) {
			continue
		}
		if c.authorized() {
			o.Forwarded = marked(o.Forwarded)
		} else {
			a := o.Otherwise[0]
			o.Decision, o.HTTPStatus, o.ResponseFlags, o.ResponseCodeDetails = a.Decision, a.HTTPStatus, a.ResponseFlags, a.ResponseCodeDetails
			o.Reason, o.Forwarded, o.Location = untold("the words of the authorizer"), nil, ""
		}
		o.Otherwise, o.Certainty = nil, string(trace.Assumed)
		out.Outcomes[i] = o
	}
	return &out
}

func (c *Call) authorized() bool {
	if v := c.Options.HTTP.Headers.Get(authz.XExtAuthz); v != "" {
		return v == authz.XExtAuthzAllow
	}
	return c.caller != nil && strings.HasSuffix(c.caller.instance.SpiffeIdentity(), "/sa/a")
}

// marks are the headers by which the authorizer tells what it got.
var marks = []string{authz.XExtAuthzCheckReceived, authz.XExtAuthzAdditionalHeaderOverride}

func marked(f *render.Forwarded) *render.Forwarded {
	if f == nil {
		return nil
	}
	out := *f
	out.Headers = maps.Clone(f.Headers)
	if out.Headers == nil {
		out.Headers = map[string]string{}
	}
	for _, name := range marks {
		out.Headers[strings.ToLower(name)] = untold("headers that the authorizer adds")
	}
	return &out
}

package cmd

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// requestFlags are what is asked: the request, its connection and who sends it.
type requestFlags struct {
	typed trace.Typed
}

// AddFlags binds the family to a command.
func (f *requestFlags) AddFlags(c *cobra.Command) {
	f.addSource(c)
	fs, t := c.Flags(), &f.typed
	f.addContent(c)
	fs.StringVarP(&t.Method, "method", "X", "", "The HTTP method (default GET; gRPC is always POST).")
}

// addContent binds what is the same whoever sends it, but for the method.
func (f *requestFlags) addContent(c *cobra.Command) {
	fs, t := c.Flags(), &f.typed
	fs.StringArrayVarP(&t.Headers, "header", "H", nil, "A header as 'Name: value'; repeatable. Host replaces the authority; a name that is given again is sent once, with a comma between its values.")
	fs.StringVar(&t.SourceIP, "source-ip", "", "The client's IP address.")
	fs.StringVar(&t.SNI, "sni", "", "The server name a TLS client sends, where it is not the host.")
	fs.StringVar(&t.ClientCert, "client-cert", "", "The identity of the certificate a TLS client shows: spiffe://TRUST-DOMAIN/PATH, or another SAN.")
	fs.StringVar(&t.JWT, "jwt", "", "An end-user token, or @FILE that holds one. It is decoded, taken as valid, never verified and never sent; so is a JWT in an Authorization header.")
	fs.StringArrayVar(&t.Claims, "claim", nil, "A claim of the end-user token as KEY=VALUE, on top of --jwt; repeatable. A value that is a JSON list or object is taken as such.")
}

// addSource binds those flags alone that say who sends the request.
func (f *requestFlags) addSource(c *cobra.Command) {
	fs, t := c.Flags(), &f.typed
	fs.StringVar(&t.From, "from", "", "Who sends it: [NAMESPACE/]KIND/NAME (KIND one of "+strings.Join(trace.SourceKinds(), ", ")+
		"), a pod's name, or external for a client outside the cluster; CLUSTER: before it names one of several clusters (--remote). Without it: external where a gateway serves the host, else some workload with a sidecar in the current namespace.")
	fs.StringVar(&t.Gateway, "gateway", "", "The gateway an external request enters by, as [NAMESPACE/]NAME, where several could be.")
}

// ToOptions reads the request of the URL.
func (f *requestFlags) ToOptions(url string) (trace.Request, error) {
	typed, err := f.toTyped(url)
	if err != nil {
		return trace.Request{}, err
	}
	return newRequest(typed)
}

// toTyped is the request as typed, with the token that a file holds.
func (f *requestFlags) toTyped(url string) (trace.Typed, error) {
	typed := f.typed
	typed.URL = url
	if name, ok := strings.CutPrefix(typed.JWT, "@"); ok {
		token, err := os.ReadFile(name)
		if err != nil {
			return trace.Typed{}, fmt.Errorf("read the token: %s", trace.Redact([]byte(err.Error()))) // the name may be the token itself
		}
		typed.JWT = string(token)
		if strings.TrimSpace(typed.JWT) == "" {
			return trace.Typed{}, usagef("--jwt @%s: the file is empty", trace.Redact([]byte(name)))
		}
	}
	return typed, nil
}

// newRequest reads what was typed; what it refuses is a mistake of a flag.
func newRequest(typed trace.Typed) (trace.Request, error) {
	request, err := trace.NewRequest(typed)
	var refused *trace.InputError
	if errors.As(err, &refused) {
		return trace.Request{}, usageError{typedError(refused)}
	}
	return request, err
}

// typedError names the flag, as the parser does not know that it is one.
func typedError(e *trace.InputError) error {
	if e.Input == trace.InputURL {
		return e
	}
	return fmt.Errorf("--%s %s", e.Input, e.Problem)
}

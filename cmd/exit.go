package cmd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/mesh-trace/kubectl-mesh-trace/trace"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/render"
)

// The exit codes; rootExit says the same to the user.
const (
	exitTraced       = 0
	exitFailed       = 1
	exitUsage        = 2
	exitNotDelivered = 3
)

// errNotDelivered is --exit-code's: the trace is printed and says it all.
var errNotDelivered = errors.New("not every outcome is Delivered")

// usageError is a command line that can not be meant.
type usageError struct{ error }

// Unwrap returns what was refused.
func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// failures is the table from an error to its exit code and what is said on
// stderr. The first row that fits counts; what fits none failed, in its own words.
var failures = []struct {
	is   func(error) bool
	code int
	say  func(error) string
}{
	{is(errNotDelivered), exitNotDelivered, nil},
	{is(errCaseFailed), exitNotDelivered, nil},
	{as[coverageError], exitNotDelivered, error.Error},
	{as[caseFileError], exitUsage, error.Error},
	{is(errDiffers), exitNotDelivered, nil},
	{is(errDisagrees), exitNotDelivered, nil},
	{as[usageError], exitUsage, sayUsage},
	{as[*trace.InputError], exitUsage, sayUsage},
	{is(context.Canceled), exitFailed, constant("interrupted")},
	{is(errNoKubeconfig), exitFailed, constant("no cluster to read: no kubeconfig was found; name one with --kubeconfig, or read manifests with -f (test: --manifests)")},
	{clientcmd.IsEmptyConfig, exitFailed, constant("no cluster to read: the kubeconfig names none; choose one with --context or --kubeconfig, or read manifests with -f (test: --manifests)")},
	{clientcmd.IsContextNotFound, exitFailed, after("%v; 'kubectl config get-contexts' lists those there are")},
	{apierrors.IsUnauthorized, exitFailed, constant("the cluster does not accept your credentials (401 Unauthorized); log in again, or choose others with --context or --user")},
	{apierrors.IsForbidden, exitFailed, after("you may not read what a trace needs: %v; docs/rbac.yaml has the permissions")},
	{utilnet.IsConnectionRefused, exitFailed, host("%s refuses connections; is the cluster up, and is it the one you mean (--context)?")},
	{as[*net.DNSError], exitFailed, host("the name of %s can not be resolved; are you on its network, and is it the cluster you mean (--context)?")},
	{as[*tls.CertificateVerificationError], exitFailed, after("the API server's certificate is not trusted: %v; --certificate-authority names what to trust")},
	{isTimeout, exitFailed, host("%s did not answer in time; is the network up, or --request-timeout too short?")},
}

// exit says on stderr what went wrong and returns the exit code.
func exit(err error, errOut io.Writer) int {
	if err == nil {
		return exitTraced
	}
	for _, f := range failures {
		if f.is(err) {
			if f.say != nil {
				warnError(errOut, f.say(err))
			}
			return f.code
		}
	}
	warnError(errOut, err.Error())
	return exitFailed
}

// warnError prints an error; its text may come from a resource or a server, so no character passes that a terminal would act on.
func warnError(w io.Writer, text string) {
	fmt.Fprintf(w, "error: %s\n", render.EscapeLines(strings.TrimSpace(text)))
}

// warn prints a warning.
func warn(w io.Writer, text string) {
	fmt.Fprintf(w, "warning: %s\n", render.EscapeLines(strings.TrimSpace(text)))
}

func is(target error) func(error) bool {
	return func(err error) bool { return errors.Is(err, target) }
}

func as[E error](err error) bool {
	var target E
	return errors.As(err, &target)
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) ||
		apierrors.IsTimeout(err) || errors.As(err, &timeout) && timeout.Timeout()
}

func sayUsage(err error) string {
	return err.Error() + "\nsee 'kubectl mesh-trace --help'"
}

func constant(text string) func(error) string {
	return func(error) string { return text }
}

func after(format string) func(error) string {
	return func(err error) string { return fmt.Sprintf(format, err) }
}

// host names the API server that was asked.
func host(format string) func(error) string {
	return func(err error) string {
		server := "the API server"
		var asked *url.Error
		if errors.As(err, &asked) {
			if u, err := url.Parse(asked.URL); err == nil && u.Host != "" {
				server += " " + u.Host
			}
		}
		return fmt.Sprintf(format, server)
	}
}

package load

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// ClusterProblem says what kept the loader from reading a cluster at all. It is a closed list.
type ClusterProblem string

// The closed list of problems with a cluster.
const (
	// ClusterBadConfig is a kubeconfig no client can be made of.
	ClusterBadConfig ClusterProblem = "bad-config"
	// ClusterNoCredentials is a credential plugin that failed.
	ClusterNoCredentials ClusterProblem = "no-credentials"
	// ClusterUnauthorized is an API server that refuses the credentials (401).
	ClusterUnauthorized ClusterProblem = "unauthorized"
	// ClusterForbidden is a user who may not even ask which APIs there are (403).
	ClusterForbidden ClusterProblem = "forbidden"
	// ClusterUntrusted is a TLS handshake that failed.
	ClusterUntrusted ClusterProblem = "untrusted"
	// ClusterTimeout is an API server that does not answer in time.
	ClusterTimeout ClusterProblem = "timeout"
	// ClusterUnreachable is an API server no connection can be made to, or one that is not ready.
	ClusterUnreachable ClusterProblem = "unreachable"
	// ClusterForeign is a server that does not speak the Kubernetes API.
	ClusterForeign ClusterProblem = "foreign"
)

// ClusterError is why nothing could be read from a cluster. A kind that can
// not be listed is no ClusterError but a gap.
type ClusterError struct {
	Problem ClusterProblem
	// Server is the address of the API server as the kubeconfig has it.
	Server string
	// As is whom the user asked to be (--as); empty for nobody else.
	As string
	// Err is the cause.
	Err error
}

// Error is one sentence for a person.
func (e *ClusterError) Error() string {
	// client-go says "unknown" where it did not look into the answer's body.
	if cause := oneLine(e.Err); cause != "unknown" {
		return e.sentence() + ": " + cause
	}
	return e.sentence()
}

// Unwrap returns the cause.
func (e *ClusterError) Unwrap() error { return e.Err }

func (e *ClusterError) sentence() string {
	switch e.Problem {
	case ClusterBadConfig:
		return fmt.Sprintf("no client can be made for the API server %s", e.Server)
	case ClusterNoCredentials:
		return fmt.Sprintf("no credentials for the API server %s", e.Server)
	case ClusterUnauthorized:
		return fmt.Sprintf("the API server %s does not accept the credentials", e.Server)
	case ClusterForbidden:
		if e.As != "" {
			return fmt.Sprintf("this user may not impersonate %s at the API server %s, or %[1]s may not ask it which APIs it serves", e.As, e.Server)
		}
		return fmt.Sprintf("this user may not ask the API server %s which APIs it serves", e.Server)
	case ClusterUntrusted:
		return fmt.Sprintf("the TLS handshake with the API server %s failed", e.Server)
	case ClusterTimeout:
		return fmt.Sprintf("the API server %s did not answer in time", e.Server)
	case ClusterUnreachable:
		return fmt.Sprintf("the API server %s can not be reached", e.Server)
	case ClusterForeign:
		return fmt.Sprintf("%s does not answer as a Kubernetes API server", e.Server)
	}
	return fmt.Sprintf("the cluster at %s can not be read", e.Server)
}

// asClusterError names the problem behind an error of the client; one that the
// caller caused by ending the context is no problem of the cluster.
func asClusterError(ctx context.Context, server string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("read the cluster %s: %w", server, context.Cause(ctx))
	}
	return &ClusterError{Problem: clusterProblemOf(err), Server: server, Err: err}
}

// asOther adds whom the user asked to be: an API server refuses that by the same answer as a question of the other's.
func asOther(err error, name string) error {
	var problem *ClusterError
	if errors.As(err, &problem) {
		problem.As = name
	}
	return err
}

// clusterProblemOf goes from what the server said, over what broke on the
// way, to what is left: an answer that makes no sense.
func clusterProblemOf(err error) ClusterProblem {
	switch {
	case apierrors.IsUnauthorized(err):
		return ClusterUnauthorized
	case apierrors.IsForbidden(err):
		return ClusterForbidden
	case apierrors.IsTimeout(err), apierrors.IsServerTimeout(err):
		return ClusterTimeout
	case apierrors.IsServiceUnavailable(err), apierrors.IsTooManyRequests(err), apierrors.IsInternalError(err):
		return ClusterUnreachable
	case isNoCredentials(err):
		return ClusterNoCredentials
	case isTLS(err):
		return ClusterUntrusted
	case isTimeout(err):
		return ClusterTimeout
	case isNoAnswer(err):
		return ClusterForeign
	}
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		return ClusterForeign
	}
	return ClusterUnreachable
}

// isNoCredentials knows a failed credential plugin by its words: client-go
// has no type for it (plugin/pkg/client/auth/exec, roundTripper.RoundTrip).
func isNoCredentials(err error) bool {
	return strings.Contains(err.Error(), "getting credentials: ")
}

func isTLS(err error) bool {
	var (
		verification *tls.CertificateVerificationError
		authority    x509.UnknownAuthorityError
		hostname     x509.HostnameError
		invalid      x509.CertificateInvalidError
		record       tls.RecordHeaderError
		alert        tls.AlertError
	)
	return errors.As(err, &verification) || errors.As(err, &authority) || errors.As(err, &hostname) ||
		errors.As(err, &invalid) || errors.As(err, &record) || errors.As(err, &alert) ||
		strings.Contains(err.Error(), "server gave HTTP response to HTTPS client")
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
}

func isNoAnswer(err error) bool {
	var syntax *json.SyntaxError
	var mismatch *json.UnmarshalTypeError
	return errors.As(err, &syntax) || errors.As(err, &mismatch) || errors.Is(err, io.ErrUnexpectedEOF)
}

// oneLine is the error without the request's URL, on one line.
func oneLine(err error) string {
	text := err.Error()
	var request *url.Error
	if errors.As(err, &request) {
		text = strings.Replace(text, request.Error(), request.Err.Error(), 1)
	}
	return strings.Join(strings.Fields(text), " ")
}

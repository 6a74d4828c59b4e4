package reach

import (
	"strings"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// Qualify makes one destination of a host without a dot, which clients of each namespace would take for a Service of
// their own: the Service of that name in the namespace, if there is one.
func Qualify(s *resolve.Snapshot, req trace.Request, namespace string) trace.Request {
	if strings.Contains(req.Host, ".") || strings.Contains(req.Host, ":") {
		return req
	}
	if _, there := s.KubeService(namespace, req.Host); there {
		req.Host += "." + namespace
		req.WrittenHost = ""
	}
	return req
}

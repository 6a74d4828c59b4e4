package resolve

import "strings"

// RuleGRPCAnswer is how a proxy's own answer looks to a gRPC client.
const RuleGRPCAnswer RuleID = "grpc/proxy-answer"

var grpcRules = []Rule{{
	ID: RuleGRPCAnswer, Stage: StageFilter,
	Says:     "What a proxy answers by itself to a gRPC request is an HTTP 200 with the grpc-status that stands for the HTTP status.",
	Template: "a gRPC client sees %s in place of HTTP %d",
	Source:   "Envoy, source/common/http/utility.cc, prepareLocalReply; source/common/grpc/status.cc, httpToGrpcStatus",
}}

// GRPCAnswer is the step that says what a gRPC client sees of a status that a
// proxy answers by itself; false where the request is not gRPC.
func GRPCAnswer(q *HTTPRequest, status int) (Step, bool) {
	if q == nil || !isGRPC(q) {
		return Step{}, false
	}
	return NewStep(RuleGRPCAnswer, Applied, Ref{}, grpcStatus(status), status), true
}

// grpcStatus is the gRPC status that stands for an HTTP status.
// Source: Envoy, source/common/grpc/status.cc, httpToGrpcStatus.
func grpcStatus(status int) string {
	switch status {
	case 400:
		return "INTERNAL"
	case 401:
		return "UNAUTHENTICATED"
	case 403:
		return "PERMISSION_DENIED"
	case 404:
		return "UNIMPLEMENTED"
	case 429, 502, 503, 504:
		return "UNAVAILABLE"
	}
	return "UNKNOWN"
}

// isGRPC reports whether Envoy takes the request for gRPC, and answers in its form.
// Source: Envoy, source/common/grpc/common.cc, hasGrpcContentType.
func isGRPC(q *HTTPRequest) bool {
	const grpc = "application/grpc"
	contentType, _ := q.Header("content-type")
	return contentType == grpc || strings.HasPrefix(contentType, grpc+"+")
}

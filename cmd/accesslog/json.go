package accesslog

import (
	"encoding/json"
	"strconv"
	"strings"
)

// istioKeys are the operators behind the keys of Istio's JSON encoding.
//
// Source: pilot/pkg/model/telemetry_logging.go, EnvoyJSONLogFormatIstio.
var istioKeys = map[string]operator{
	"start_time": {"START_TIME", ""}, "route_name": {"ROUTE_NAME", ""}, "method": {"REQ", ":METHOD"}, "path": {"REQ", ":PATH"},
	"protocol": {"PROTOCOL", ""}, "response_code": {"RESPONSE_CODE", ""}, "response_flags": {"RESPONSE_FLAGS", ""},
	"response_code_details": {"RESPONSE_CODE_DETAILS", ""}, "connection_termination_details": {"CONNECTION_TERMINATION_DETAILS", ""},
	"x_forwarded_for": {"REQ", "X-FORWARDED-FOR"}, "user_agent": {"REQ", "USER-AGENT"}, "request_id": {"REQ", "X-REQUEST-ID"},
	"authority": {"REQ", ":AUTHORITY"}, "upstream_host": {"UPSTREAM_HOST", ""}, "upstream_cluster": {"UPSTREAM_CLUSTER", ""},
	"downstream_local_address": {"DOWNSTREAM_LOCAL_ADDRESS", ""}, "downstream_remote_address": {"DOWNSTREAM_REMOTE_ADDRESS", ""},
	"requested_server_name": {"REQUESTED_SERVER_NAME", ""}, "upstream_transport_failure_reason": {"UPSTREAM_TRANSPORT_FAILURE_REASON", ""},
}

// readJSON reads a line that is a JSON object.
func readJSON(line string) (Entry, bool) {
	var fields map[string]any
	if json.Unmarshal([]byte(line), &fields) != nil {
		return Entry{}, false
	}
	if fields["scope"] == "access" {
		return ztunnelEntry(texts(fields))
	}
	e, known := Entry{Writer: Envoy}, 0
	for key, value := range texts(fields) {
		if o, ok := istioKeys[key]; ok {
			known++
			e.set(o.name, o.argument, value)
		}
	}
	// Any log has a method or a path; these two tell Envoy's.
	_, code := fields["response_code"]
	_, flags := fields["response_flags"]
	return e, known > 2 && (code || flags) && e.believable()
}

// texts are the fields as text; a number without a fraction has none.
func texts(fields map[string]any) map[string]string {
	out := make(map[string]string, len(fields))
	for key, value := range fields {
		switch v := value.(type) {
		case string:
			out[key] = v
		case float64:
			out[key] = strconv.FormatFloat(v, 'f', -1, 64)
		}
	}
	return out
}

// isJSON reports whether a line begins as an object.
func isJSON(line string) bool { return strings.HasPrefix(line, "{") }

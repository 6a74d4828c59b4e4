package evaluator

import (
	"fmt"
	"testing"

	fault "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/fault/v3"
)

// Source: docs + "configuration/http/http_filters/fault_filter"; docs +
// "api-v3/extensions/filters/http/fault/v3/fault.proto"; response flag FI: docs +
// "configuration/observability/access_log/usage".
func TestFaultAbortsItsShare(t *testing.T) {
	for _, row := range []struct{ says, fault, want string }{
		{"all", `{abort: {http_status: 418, percentage: {numerator: 100}}}`, "1 418 FI fault_filter_abort, 0 go on"},
		{"a quarter", `{abort: {http_status: 500, percentage: {numerator: 25}}}`, "0.25 500 FI fault_filter_abort, 0.75 go on"},
		{"of a million", `{abort: {http_status: 500, percentage: {numerator: 500000, denominator: MILLION}}}`, "0.5 500 FI fault_filter_abort, 0.5 go on"},
		{"of ten thousand", `{abort: {http_status: 500, percentage: {numerator: 5000, denominator: TEN_THOUSAND}}}`, "0.5 500 FI fault_filter_abort, 0.5 go on"},
		{"a gRPC status is answered with 200", `{abort: {grpc_status: 14, percentage: {numerator: 100}}}`, "1 200 FI fault_filter_abort, 0 go on"},
		{"none", `{abort: {http_status: 500}}`, "1 go on"},
		{"a delay only", `{delay: {fixed_delay: 1s, percentage: {numerator: 100}}}`, "1 go on"},
		{"headers that the request has", `{headers: [{name: h, string_match: {exact: v}}], abort: {http_status: 500, percentage: {numerator: 100}}}`, "1 500 FI fault_filter_abort, 0 go on"},
		{"headers that it does not have", `{headers: [{name: h, string_match: {exact: w}}], abort: {http_status: 500, percentage: {numerator: 100}}}`, "1 go on"},
	} {
		t.Run(row.says, func(t *testing.T) {
			k, p := &walk{}, &path{share: 1, bytes: &Bytes{}}
			left := k.fault(p, &exchange{q: &Request{Headers: map[string]string{"h": "v"}}}, xds(t, row.fault, &fault.HTTPFault{}))
			got := ""
			for _, o := range k.outcomes {
				got += fmt.Sprintf("%g %d %s %s, ", o.Share, o.Status, o.Flag, o.Details)
			}
			got += fmt.Sprintf("%g go on", p.share)
			if got != row.want || left != (p.share > 0) {
				t.Errorf("%s, not %s", got, row.want)
			}
		})
	}
}

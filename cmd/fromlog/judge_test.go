package fromlog

import (
	"testing"

	"github.com/mesh-trace/kubectl-mesh-trace/cmd/accesslog"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

func TestFlagsThatDecideNothing(t *testing.T) {
	aborted := trace.Outcome{Decision: trace.Responded, HTTPStatus: 500, ResponseFlags: "FI", ResponseCodeDetails: "fault_filter_abort"}
	closed := trace.Outcome{Decision: trace.Reset, ResponseFlags: "NR", ResponseCodeDetails: "filter_chain_not_found"}
	tests := []struct {
		name string
		fits bool
		want bool
	}{
		{"aborted after a delay", fitsDecided(&accesslog.Entry{Method: "GET", Code: "500", Flags: "DI,FI", Details: "fault_filter_abort"}, aborted), true},
		{"delayed, and another end", fitsDecided(&accesslog.Entry{Method: "GET", Code: "500", Flags: "DI,UF", Details: "fault_filter_abort"}, aborted), false},
		{"bytes, broken off by the next proxy", fitsAnswer(&accesslog.Entry{Code: "0", Flags: "UR"}, closed), true},
		{"a request that the next proxy reset", fitsAnswer(&accesslog.Entry{Method: "GET", Code: "0", Flags: "UR"}, closed), false},
	}
	for _, tt := range tests {
		if tt.fits != tt.want {
			t.Errorf("%s: fits is %v", tt.name, tt.fits)
		}
	}
}

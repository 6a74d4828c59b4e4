//go:build integ

package conformance

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"testing"

	"istio.io/istio/pkg/test/echo"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/integration"
)

// RecordFile is the environment variable that names the file to write calls to.
const RecordFile = "CONFORMANCE_CALLS"

// recorded is one line of the file: a call of a test, what its check says of the trace, or why the
// test leaves something out.
type recorded struct {
	Test, Question string
	// Manifests are set where they are others than before.
	Manifests map[string]string `json:",omitempty"`
	Args      []string          `json:",omitempty"`
	// Beyond is why the call is no question to the trace, Unchecked why the check has nothing to say.
	Beyond, Unchecked, Diff string `json:",omitempty"`
	Broken                  string `json:",omitempty"`
}

// Record writes down the calls of tests that run in a process of their own.
type Record struct {
	file      *os.File
	dir       string
	manifests map[string]string
	snapshot  *resolve.Snapshot
	err       error
}

// NewRecord opens the file.
func NewRecord(path string) (*Record, error) {
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", RecordFile, err)
	}
	dir, err := os.MkdirTemp("", "conformance")
	return &Record{file: file, dir: dir}, err
}

// Close ends it.
func (r *Record) Close() error {
	if err := os.RemoveAll(r.dir); err != nil {
		return err
	}
	return r.file.Close()
}

// Judge asks the tests' checks about the trace, and writes down what they say.
func (r *Record) Judge() integration.Judge {
	return integration.Judge{
		Skip: func(t *testing.T, reason string) {
			r.write(t, recorded{Test: t.Name(), Beyond: "Istio skips it: " + reason})
		},
		Call: func(t *testing.T, c *integration.Call) echo.Responses {
			line := recorded{Test: t.Name(), Question: c.URL()}
			if !maps.Equal(c.Manifests, r.manifests) {
				line.Manifests, r.manifests = c.Manifests, c.Manifests
				r.snapshot, r.err = load(r.dir, c.Manifests, "default")
			}
			responses := r.call(&line, c)
			r.write(t, line)
			return responses
		},
	}
}

func (r *Record) call(line *recorded, c *integration.Call) (responses echo.Responses) {
	args, err := c.Args()
	if err == nil {
		line.Args, err = args, r.err
	}
	if err == nil {
		responses, line.Diff, line.Question, err = asIstioWants(r.snapshot, c)
		if reason, ok := reasonOf(err); ok {
			line.Unchecked, err = reason, nil
		}
	}
	if reason := untraceable(err); reason != nil {
		line.Beyond = reason.Error()
	} else if err != nil {
		line.Broken = err.Error()
	}
	return responses
}

func (r *Record) write(t *testing.T, line recorded) {
	t.Helper()
	text, err := json.Marshal(line)
	if err == nil {
		_, err = r.file.Write(append(text, '\n'))
	}
	if err != nil {
		t.Error(err)
	}
}

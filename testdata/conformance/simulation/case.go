package simulation

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"testing"
)

// File is the environment variable that names the file to write to.
const File = "CONFORMANCE_SITUATIONS"

// Case is one call of one of Istio's tests: the situation, the call, what the test expects.
type Case struct {
	Name string
	// Manifests and MeshConfig are YAML. Unwritten says why the situation can not be written as manifests.
	Manifests, MeshConfig string
	Unwritten             string
	// Flag is set where a feature flag is not at its default.
	Flag  string
	Proxy Proxy
	Call  Call
	// Want is what the test expects, Got what the evaluator found; empty fields of Want are of no
	// interest unless Strict is set.
	Want, Got Answer
	Strict    bool
	// Derived is set where the test makes no call: Want is then the evaluator's.
	Derived bool
	// Unplayed says why the evaluator does not know.
	Unplayed string
}

// Proxy is the proxy that takes the call.
type Proxy struct {
	Gateway   bool
	Namespace string
	Labels    map[string]string
	Addresses []string
}

// Answer is what a proxy does with a call, by the names of Envoy's objects.
type Answer struct {
	Error, Listener, FilterChain, RouteConfig, VirtualHost, Route, Cluster string
}

var writing sync.Mutex

func write(t *testing.T, c Case) {
	t.Helper()
	writing.Lock()
	defer writing.Unlock()
	line, err := json.Marshal(c)
	if err != nil {
		t.Error(err)
		return
	}
	f, err := os.OpenFile(os.Getenv(File), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Errorf("%s: %v", File, err)
		return
	}
	defer f.Close()
	if _, err := f.Write(append(line, '\n')); err != nil {
		t.Error(err)
	}
}

// Read gives back what was written.
func Read(path string) ([]Case, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var out []Case
	s := bufio.NewScanner(bytes.NewReader(text))
	s.Buffer(nil, len(text)+1)
	for s.Scan() {
		var c Case
		if err := json.Unmarshal(s.Bytes(), &c); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		out = append(out, c)
	}
	return out, s.Err()
}

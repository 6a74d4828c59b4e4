package cluster

import (
	"bufio"
	"encoding/json"
	"os"
	"testing"
)

// Request is what the audit log says of one request that the API server has answered.
type Request struct {
	Verb      string
	URI       string `json:"requestURI"`
	UserAgent string
	User      struct {
		Username string
		Groups   []string
	}
	// Impersonated is whom the user has asked to be; nil for most.
	Impersonated *struct{ Username string } `json:"impersonatedUser"`
	// Object is nil for a request that is about no resource, such as discovery.
	Object *struct {
		Group       string `json:"apiGroup"`
		Resource    string
		Subresource string
		Namespace   string
		Name        string
	} `json:"objectRef"`
	Response struct{ Code int } `json:"responseStatus"`
}

// Audit reads the audit log: what was asked since the cluster started, in the order of the answers.
func (c *Cluster) Audit(t testing.TB) []Request {
	t.Helper()
	file, err := os.Open(c.AuditLog)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close() //nolint:errcheck // it is only read
	var out []Request
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var r Request
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		out = append(out, r)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

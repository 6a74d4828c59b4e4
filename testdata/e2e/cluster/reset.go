package cluster

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
)

// stored is a value of etcd.
type stored struct {
	Key         []byte `json:"key"`
	Value       []byte `json:"value,omitempty"`
	ModRevision string `json:"mod_revision,omitempty"`
}

// kept are the keys of what the API server writes by itself, at any time.
var kept = []string{"/registry/leases/kube-", "/registry/masterleases/", "/registry/events/", "compact_rev_key"}

// Reset makes the cluster what it was when it was ready: nothing but the CRDs and what an API server makes by itself.
// No controllers run that would empty a namespace, so the objects are taken out of etcd; the API server follows.
func (c *Cluster) Reset() error {
	now, err := c.stored(true)
	if err != nil {
		return err
	}
	for key, value := range now {
		was, there := c.untouched[key]
		switch {
		case slices.ContainsFunc(kept, func(prefix string) bool { return strings.HasPrefix(key, prefix) }):
		case !there:
			if err := c.etcdCall("kv/deleterange", map[string]any{"key": []byte(key)}, nil); err != nil {
				return err
			}
		case was.ModRevision != value.ModRevision && strings.HasPrefix(key, "/registry/namespaces/"):
			if err := c.etcdCall("kv/put", map[string]any{"key": []byte(key), "value": was.Value}, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// remember keeps what etcd holds, for Reset.
func (c *Cluster) remember() error {
	var err error
	c.untouched, err = c.stored(false)
	return err
}

// stored is all that etcd holds.
func (c *Cluster) stored(keysOnly bool) (map[string]stored, error) {
	var answer struct {
		Pairs []stored `json:"kvs"`
	}
	// From the key of one zero byte to the end.
	all := map[string]any{"key": []byte{0}, "range_end": []byte{0}, "keys_only": keysOnly}
	if err := c.etcdCall("kv/range", all, &answer); err != nil {
		return nil, err
	}
	out := map[string]stored{}
	for _, s := range answer.Pairs {
		out[string(s.Key)] = s
	}
	return out, nil
}

// etcdCall asks etcd by its JSON gateway, which needs no client library.
func (c *Cluster) etcdCall(method string, question, answer any) error {
	body, err := json.Marshal(question)
	if err != nil {
		return err
	}
	response, err := http.Post(c.etcdURL+"/v3/"+method, "application/json", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer response.Body.Close() //nolint:errcheck // it is read to its end
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("etcd %s: %s: %s", method, response.Status, text)
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(text, answer)
}

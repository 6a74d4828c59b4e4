package cluster

// Value is what etcd has at a key.
type Value struct {
	Key   string
	Value []byte
}

// Put writes values straight into etcd, in one transaction, past what the API server checks and adds. It is for objects so many
// that the API server would take minutes to take them in; [Cluster.Apply] is for all others. etcd takes up to 128 in one
// transaction, and 1.5 MB.
func (c *Cluster) Put(values []Value) error {
	type put struct {
		Key   []byte `json:"key"`
		Value []byte `json:"value"`
	}
	type operation struct {
		Put put `json:"request_put"`
	}
	var puts []operation
	for _, v := range values {
		puts = append(puts, operation{put{[]byte(v.Key), v.Value}})
	}
	return c.etcdCall("kv/txn", map[string]any{"success": puts}, nil)
}

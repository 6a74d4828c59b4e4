package resolve

// ForgetClients drops what was made for the clients of a namespace and others hardly ask for: what their proxies see, with
// its route tables and listeners, and their clusters, which are by far the most that a snapshot keeps. What is asked for
// again is made again.
func (s *Snapshot) ForgetClients(namespace string) {
	c := &s.index.scopes
	c.Lock()
	for key, scope := range c.scopes {
		if key.namespace == namespace && !key.gateway {
			scope.tables.forget()
			delete(c.scopes, key)
		}
	}
	c.Unlock()
	for _, w := range s.WorkloadsIn(namespace) {
		if w.Dataplane != DataplaneGateway {
			s.known(w).scope.forget()
			s.known(w).inbound.forget() // it is by scope
		}
		s.known(w).clusters.forget()
	}
}

func (c *tableCache) forget() {
	c.Lock()
	defer c.Unlock()
	c.listeners, c.routes = nil, nil
}

func (m *memo[K, V]) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.answers = nil
}

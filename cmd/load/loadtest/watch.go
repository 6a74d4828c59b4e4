package loadtest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// stream answers a watch until the client goes away.
func (s *Server) stream(w http.ResponseWriter, r *http.Request) {
	events := make(chan string)
	s.mu.Lock()
	if s.watches == nil {
		s.watches = map[string][]chan string{}
	}
	s.watches[r.URL.Path] = append(s.watches[r.URL.Path], events)
	s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json;stream=watch")
	for flusher, _ := w.(http.Flusher); ; {
		flusher.Flush()
		select {
		case <-r.Context().Done():
			return
		case event := <-events:
			fmt.Fprintln(w, event)
		}
	}
}

// Change files the objects of a list, written in YAML, in place of those that are there, and tells one watch of it, as soon
// as there is one, that the object of that name was modified.
func (s *Server) Change(t testing.TB, path, namespace, name string, objects ...string) {
	t.Helper()
	s.mu.Lock()
	delete(s.Items, path)
	s.mu.Unlock()
	s.Add(t, path, objects...)
	s.Emit(t, path, fmt.Sprintf(`{"type":"MODIFIED","object":{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1",`+
		`"metadata":{"namespace":%q,"name":%q,"resourceVersion":"8"}}}`, namespace, name))
}

// Emit sends an event to the youngest watch of a list, as soon as there is one that takes it.
func (s *Server) Emit(t testing.TB, path, event string) {
	t.Helper()
	for tried := time.Now(); time.Since(tried) < time.Minute; time.Sleep(time.Millisecond) {
		s.mu.Lock()
		watches := s.watches[path]
		s.mu.Unlock()
		if len(watches) == 0 {
			continue
		}
		select {
		case watches[len(watches)-1] <- event:
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
	t.Fatalf("nobody watches %s", path)
}

// Listed are the objects of a list.
func (s *Server) Listed(path string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.Items[path])
}

// ForbidWatch refuses the watches of a kind.
func (s *Server) ForbidWatch(plural string) {
	before := s.Answer
	s.Answer = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Query().Get("watch") != "" && strings.HasSuffix(r.URL.Path, "/"+plural) {
			WriteStatus(w, http.StatusForbidden, plural+" is forbidden")
			return true
		}
		return before != nil && before(w, r)
	}
}

package reach

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// Question is one request of a matrix.
type Question struct {
	Request trace.Request
	// Namespace is that of the service that is asked, or the host where that is not known.
	Namespace string
}

// Questions are the requests, whoever sends them.
func Questions(s *resolve.Snapshot, requests ...trace.Request) []Question {
	namespaces := map[string]string{}
	for _, svc := range s.Services() {
		if svc.Registry == resolve.RegistryKubernetes {
			namespaces[svc.Hostname], namespaces[svc.Name+"."+svc.Namespace] = svc.Namespace, svc.Namespace
		}
	}
	out := make([]Question, len(requests))
	for i, q := range requests {
		out[i] = Question{Request: q, Namespace: cmp.Or(namespaces[q.Host], q.Host)}
	}
	return out
}

// URLs are those of the ports of all Services that one of the patterns names, by namespace, name and port, with the path. A
// port is asked in its protocol: HTTP where istiod finds that out for itself, and nothing where it is UDP. The error says
// that a pattern names nothing.
func URLs(s *resolve.Snapshot, patterns []Pattern, path string) ([]string, error) {
	used := make([]bool, len(patterns))
	var named []*resolve.Service
	for _, svc := range s.Services() {
		if svc.Registry != resolve.RegistryKubernetes {
			continue
		}
		take := false
		for i, p := range patterns {
			if p.takes(svc.Namespace, "service", svc.Name) {
				used[i], take = true, true
			}
		}
		if take {
			named = append(named, svc)
		}
	}
	for i, p := range patterns {
		if !used[i] {
			return nil, fmt.Errorf("--to %q names no Service%s", p.Text, whereElse(s, p))
		}
	}
	slices.SortStableFunc(named, func(a, b *resolve.Service) int { return resolve.CompareRefs(a.Ref, b.Ref) })
	var urls []string
	for _, svc := range named {
		for _, port := range svc.Ports {
			if url := urlOf(svc, port, path); url != "" {
				urls = append(urls, url)
			}
		}
	}
	return urls, nil
}

func urlOf(svc *resolve.Service, port resolve.Port, path string) string {
	host := svc.Name + "." + svc.Namespace + ":" + strconv.Itoa(port.Number)
	switch port.Protocol {
	case resolve.ProtocolUDP:
		return ""
	case resolve.ProtocolTLS:
		return string(trace.TLS) + "://" + host
	case resolve.ProtocolHTTPS:
		return string(trace.HTTPS) + "://" + host + path
	case resolve.ProtocolHTTP, resolve.ProtocolHTTP2, resolve.ProtocolGRPC, resolve.ProtocolGRPCWeb, resolve.ProtocolUnsupported:
		return string(trace.HTTP) + "://" + host + path
	}
	return string(trace.TCP) + "://" + host
}

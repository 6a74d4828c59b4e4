package trace

import "github.com/mesh-trace/kubectl-mesh-trace/resolve"

// originates reports whether a client's proxy has what the TLS of its cluster needs; without it the connection ends there.
func (w *walk) originates(p *path, certificates resolve.Supply) bool {
	return w.supplied(p, certificates, "UF", notSupplied)
}

// supplied closes a path where a proxy is given no certificate; flags and details are those of the proxy that sends.
func (w *walk) supplied(p *path, s resolve.Supply, flags, details string) bool {
	if s.Undetermined {
		p.lower(Undetermined)
	}
	if s.Given {
		p.note(s.Steps...)
		return true
	}
	last := len(s.Steps) - 1
	p.note(s.Steps[:last]...)
	o := w.brokenOutcome(p, CodeNoCertificate, flags, details)
	o.By, o.Hint = s.Steps[last].Ref, s.Hint
	w.endAt(p, o, s.Steps[last])
	return false
}

package render

// circumstances are the lines with which wide ends.
func (r *renderer) circumstances() {
	lines := r.circumstanceLines()
	if len(lines) == 0 {
		return
	}
	r.blank()
	for _, l := range lines {
		r.put(l, 2)
	}
}

// circumstanceLines say which release was followed, and the identity the source has.
func (r *renderer) circumstanceLines() []line {
	release, source := r.trace.Istio, r.trace.Source
	var lines []line
	if release.Release != "" {
		l := line{}.text(asDim, "Istio ").text(asPlain, release.Release)
		if release.From != "" {
			l = l.text(asDim, " (").text(asDim, release.From).text(asDim, ")")
		}
		lines = append(lines, l)
	}
	var identity line
	for _, fact := range []struct{ label, value string }{
		{"", source.Principal}, {"service account ", source.ServiceAccount}, {"data plane ", string(source.Dataplane)},
	} {
		if fact.value != "" {
			identity = identity.then(", ", line{}.text(asDim, fact.label).text(asPlain, fact.value))
		}
	}
	if source.Principal != "" || source.ServiceAccount != "" {
		lines = append(lines, line{}.text(asDim, "source ").add(identity))
	}
	return lines
}

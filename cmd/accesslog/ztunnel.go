package accesslog

import (
	"regexp"
	"strings"
)

// A line of ztunnel's access log: TIME LEVEL access MESSAGE, then pairs such as src.workload="web-1". Values have quotes
// where they are text.
//
// Source: https://github.com/istio/ztunnel, src/proxy/metrics.rs; https://istio.io/latest/docs/ambient/usage/troubleshoot-ztunnel/.

var (
	ztunnelLine = regexp.MustCompile(`^(\d{4}-\d\d-\d\dT\S+)\s+(?:info|warn|error|debug)\s+access\s+(.*)$`)
	pair        = regexp.MustCompile(`([a-z_]+(?:\.[a-z_]+)*)=("(?:[^"\\]|\\.)*"|\S*)`)
)

// readZtunnel reads a line of ztunnel's text.
func readZtunnel(line string) (Entry, bool) {
	found := ztunnelLine.FindStringSubmatch(line)
	if found == nil {
		return Entry{}, false
	}
	fields := map[string]string{"time": found[1]}
	for _, p := range pair.FindAllStringSubmatch(found[2], -1) {
		value := p[2]
		if len(value) >= 2 && value[0] == '"' {
			value = strings.NewReplacer(`\"`, `"`, `\\`, `\`).Replace(value[1 : len(value)-1])
		}
		fields[p[1]] = value
	}
	return ztunnelEntry(fields)
}

// ztunnelEntry is what the pairs say; not ok where they name no address.
func ztunnelEntry(fields map[string]string) (Entry, bool) {
	e := Entry{
		Writer: Ztunnel, Time: fields["time"], Remote: fields["src.addr"], Local: fields["dst.hbone_addr"], Peer: fields["src.identity"],
		SourceNamespace: fields["src.namespace"], SourceWorkload: fields["src.workload"],
		DestinationService: fields["dst.service"], DestinationWorkload: fields["dst.workload"], DestinationNamespace: fields["dst.namespace"],
		Destination: fields["dst.addr"], Direct: fields["direction"], Error: fields["error"],
	}
	if e.Local == "" {
		e.Local = e.Destination
	}
	return e, e.Remote != "" && e.Local != ""
}

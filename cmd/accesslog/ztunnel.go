package accesslog

import (
	"regexp"
	"strconv"
	"strings"
)

// A line of ztunnel's access log.
//
//  1. TIME, LEVEL, access and MESSAGE have tabs between them, and then come pairs such as src.workload="web-1". Earlier releases
//     wrote blanks, LEVEL in capitals, and a colon behind access.
//  2. Values have quotes where they are text, and are escaped within as Rust does for debugging.
//  3. dst.addr is where the connection goes, with HBONE port 15008, and dst.hbone_addr then the target in the tunnel: an address, or the
//     name of a service of another network. Identities are there with mTLS alone.
//  4. The message is "connection complete" or "connection failed". With debugging on there is one more line for each connection, when it
//     is opened; what comes of it is not known then.
//
// Source: https://github.com/istio/ztunnel, src/proxy/metrics.rs, record_internal and log_early_deny; src/telemetry.rs, IstioFormat;
// https://istio.io/latest/docs/ambient/usage/troubleshoot-ztunnel/.

var (
	ztunnelLine = regexp.MustCompile(`^(\d{4}-\d\d-\d\dT\S+)\s+(?:info|warn|error|debug|INFO|WARN|ERROR|DEBUG)\s+access:?\s+(.*)$`)
	pair        = regexp.MustCompile(`([a-z_]+(?:\.[a-z_]+)*)=("(?:[^"\\]|\\.)*"|\S*)`)
)

// readZtunnel reads a line of ztunnel's text.
func readZtunnel(line string) (Entry, bool) {
	found := ztunnelLine.FindStringSubmatch(line)
	if found == nil {
		return Entry{}, false
	}
	message, _, _ := strings.Cut(found[2], "src.addr=")
	fields := map[string]string{"time": found[1], "message": strings.TrimSpace(message)}
	for _, p := range pair.FindAllStringSubmatch(found[2], -1) {
		fields[p[1]] = unquoted(p[2])
	}
	return ztunnelEntry(fields)
}

var escaped = regexp.MustCompile(`\\(?:u\{[0-9a-fA-F]{1,6}\}|.)`)

// unquoted is the text that Rust has written for debugging; what has no quotes stands for itself.
func unquoted(value string) string {
	if len(value) < 2 || value[0] != '"' {
		return value
	}
	return escaped.ReplaceAllStringFunc(value[1:len(value)-1], func(e string) string {
		switch e[1] {
		case 'n':
			return "\n"
		case 't':
			return "\t"
		case 'r':
			return "\r"
		case '0':
			return "\x00"
		case 'u':
			if code, err := strconv.ParseInt(strings.Trim(e[2:], "{}"), 16, 32); err == nil {
				return string(rune(code))
			}
		}
		return e[1:]
	})
}

// ztunnelEntry is what the pairs say; not ok where they name no address.
func ztunnelEntry(fields map[string]string) (Entry, bool) {
	e := Entry{
		Writer: Ztunnel, Time: fields["time"], Remote: fields["src.addr"], Local: fields["dst.hbone_addr"], Peer: fields["src.identity"],
		SourceNamespace: fields["src.namespace"], SourceWorkload: fields["src.workload"],
		DestinationService: fields["dst.service"], DestinationWorkload: fields["dst.workload"], DestinationNamespace: fields["dst.namespace"],
		Destination: fields["dst.addr"], Direct: fields["direction"], Error: fields["error"], Opened: fields["message"] == "connection opened",
	}
	if e.Local == "" {
		e.Local = e.Destination
	}
	return e, e.Remote != "" && e.Local != ""
}

package accesslog

import "strings"

// Writer is what wrote a line. It is a closed list.
type Writer string

// The writers.
const (
	Envoy   Writer = "Envoy"
	Ztunnel Writer = "ztunnel"
)

// Entry is what a line says. What it does not say, or says with "-", is empty.
type Entry struct {
	Writer Writer
	// Pod is the pod that wrote it, as kubectl logs --prefix names it.
	Pod string
	// Time is as written.
	Time string

	Method, Path, Protocol, Authority string
	// Headers are those that the format has besides, by lower-case name.
	Headers map[string]string
	// Code is the response code; empty on TCP, and "0" where none was sent.
	Code, Flags, Details, Termination, TransportFailure string

	UpstreamHost, UpstreamCluster string
	// Remote and Local are the addresses of the downstream connection: the client's, and the one that it dialled.
	Remote, Local string
	// ServerName is the SNI of the connection.
	ServerName, RouteName string
	// Peer is the identity of the client's certificate.
	Peer string

	// These are ztunnel's: the names of both ends, whether it is the client's or the server's ztunnel, and the error.
	SourceNamespace, SourceWorkload           string
	DestinationService, DestinationWorkload   string
	DestinationNamespace, Destination, Direct string
	Error                                     string
	// Opened is set for a line about a connection that has just been opened, of which nothing more is known.
	Opened bool
}

// TCP reports whether the line is of a connection, and not of an HTTP request.
func (e *Entry) TCP() bool { return e.Method == "" && e.Path == "" }

// set puts the value of an operator of Envoy's format, as %NAME(argument)%, where it belongs. One that is not compared is let go.
func (e *Entry) set(operator, argument, value string) {
	if value == "-" {
		value = ""
	}
	if field := e.field(operator); field != nil {
		*field = value
		return
	}
	if operator != "REQ" || value == "" {
		return
	}
	switch name := strings.ToLower(argument); name {
	case ":method":
		e.Method = value
	case ":path", "x-envoy-original-path?:path":
		e.Path = value
	case ":authority", "host":
		e.Authority = value
	default:
		if !strings.ContainsAny(name, ":?") {
			if e.Headers == nil {
				e.Headers = map[string]string{}
			}
			e.Headers[name] = value
		}
	}
}

// field is where an operator without an argument belongs; nil for one that is not compared.
func (e *Entry) field(operator string) *string {
	switch operator {
	case "START_TIME":
		return &e.Time
	case "PROTOCOL":
		return &e.Protocol
	case "RESPONSE_CODE":
		return &e.Code
	case "RESPONSE_FLAGS":
		return &e.Flags
	case "RESPONSE_CODE_DETAILS":
		return &e.Details
	case "CONNECTION_TERMINATION_DETAILS":
		return &e.Termination
	case "UPSTREAM_TRANSPORT_FAILURE_REASON":
		return &e.TransportFailure
	case "UPSTREAM_HOST":
		return &e.UpstreamHost
	case "UPSTREAM_CLUSTER", "UPSTREAM_CLUSTER_RAW":
		return &e.UpstreamCluster
	case "DOWNSTREAM_REMOTE_ADDRESS", "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", "DOWNSTREAM_DIRECT_REMOTE_ADDRESS":
		return &e.Remote
	case "DOWNSTREAM_LOCAL_ADDRESS":
		return &e.Local
	case "REQUESTED_SERVER_NAME":
		return &e.ServerName
	case "ROUTE_NAME":
		return &e.RouteName
	case "DOWNSTREAM_PEER_URI_SAN":
		return &e.Peer
	}
	return nil
}

// believable reports whether what was read can be an access-log line: its code is a number, its path a path.
func (e *Entry) believable() bool {
	number := strings.TrimLeft(e.Code, "0123456789") == "" && len(e.Code) <= 3
	return number && (e.TCP() || e.Method != "" && !strings.ContainsAny(e.Method, " \"")) && (e.Code != "" || e.Flags != "" || e.UpstreamCluster != "" || e.TCP())
}

// Package accesslog reads access-log lines of Envoy, as Istio has it write them, and of ztunnel.
//
//  1. A line may have what `kubectl logs --prefix` and `--timestamps` put before it (line.go).
//  2. A line that is a JSON object has Istio's keys, or ztunnel's (json.go).
//  3. One of ztunnel's text has pairs of key and value (ztunnel.go).
//  4. Any other is of a format string of Envoy: those of Istio's releases, and one that is given (format.go).
//
// It reads lines alone, and knows no mesh.
package accesslog

// Package fromlog makes requests of access-log lines, traces them, and compares what the log says happened with what the
// trace says.
//
//  1. A line tells which proxy wrote it, and on which side (writer.go); that gives the request and its client (request.go).
//  2. The request is traced, and an outcome is looked for that the line could be of (judge.go).
//  3. Lines that agree or differ in the same way are one group, with what could explain it (explain.go, compare.go).
//
// It imports no cobra and no client-go. All that a line says is escaped where it is printed.
package fromlog

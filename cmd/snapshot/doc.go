// Package snapshot takes out of what was read the least that gives the same traces, and nothing that a trace does not
// read, so that it can be attached to a report.
//
// Take chooses the objects (choose.go), reduces each to the fields that resolve and trace read (read.go, reduce.go,
// metadata.go), reduces the requests (request.go), replaces names where that is asked for (rename.go), and replays what it
// has written: the traces are then the same, byte for byte but for where things stand, or the snapshot says that they are
// not.
//
// It talks to no cluster: what is asked of one while the requests are traced is recorded (record.go). It prints nothing.
package snapshot

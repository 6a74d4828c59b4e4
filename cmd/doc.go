// Package cmd is the command line: it turns what was typed into a request and a
// source of objects, has the request traced, and prints the trace.
//
// Each command has the same four steps. Flags hold what was typed; ToOptions
// parses them; Validate refuses what does not go together; Run reads, traces and
// prints. Families of flags that several commands share (requestFlags, meshFlags,
// viewFlags) are a file each.
//
// exit.go is the only place where an error becomes an exit code and a sentence
// on stderr. Nothing is written to stdout before everything is known, so that
// stdout is empty whenever the exit code is 1 or 2.
package cmd

// Package load reads resources from manifests and from clusters and hands them
// over as one [resolve.Input], from which a snapshot is made.
//
// From files ([Manifests]): sources are listed and read, split into documents,
// parsed once each into YAML nodes, and decoded strictly into the API's Go types
// with the line of every mistake. Everything that is wrong is reported at once
// as [Problems]. What an API server would have filled in is filled in here.
//
// The table of kinds in kinds.go is the one list of what is read; both loaders use it.
//
// The package may use client-go and cli-runtime; it must not import trace, render or cmd.
package load

// Package render turns a finished trace into bytes.
//
// [Text] is for a person: the first line answers, the next ones show the way,
// the last ones say what was not known. [NewDocument] is for programs: the JSON
// shape of the contract, an API object that cli-runtime's printers take.
//
// Renderers decide layout, never meaning: they ask no snapshot and recompute no
// verdict; how much evidence they get is chosen before, by trace.Trace.View. The
// same trace gives the same bytes: there is no map order, no clock, no locale and
// no terminal in here. Every string that came from a resource or from the request
// is escaped on its way into a text.
//
// It must not import cobra, cli-runtime, client-go, os or net/http.
package render

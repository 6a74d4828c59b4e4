// Package diff compares what is decided about requests before and after a change of a mesh.
//
// It traces each request on both sides, sorts the pairs into results, and groups those of the same cause. It knows where
// neither side came from, and imports no cobra and no client-go. Output is by text.go, markdown.go and document.go; all
// that a mesh or a request says is escaped there.
package diff

// Package scale fills a cluster with a large mesh, and measures what one trace of it costs: time, bytes and memory.
package scale

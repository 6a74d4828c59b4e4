// Package apiserver does for manifests what an API server, the controllers and the kubelets of a
// cluster would do: it gives Services their ClusterIPs, makes the pods of Deployments, injects
// proxies, and writes EndpointSlices. Both parties of a comparison then speak of the same cluster.
package apiserver

// Package cluster runs etcd and kube-apiserver on loopback, and nothing else of a cluster: no controllers, no
// scheduler, no kubelet. What is in it is what a test applies, status included.
package cluster

package cluster

// The modules whose files are read: the program's own, and those with CRDs. Without an import of theirs
// go.mod would not keep them.
import (
	_ "istio.io/api/label"
	_ "sigs.k8s.io/gateway-api-inference-extension/version"
	_ "sigs.k8s.io/gateway-api/pkg/consts"

	_ "github.com/mesh-trace/kubectl-mesh-trace/cmd/load"
)

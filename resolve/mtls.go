package resolve

// MTLSMode is the effective mode of a workload port.
type MTLSMode string

// The modes of a PeerAuthentication.
const (
	MTLSPermissive MTLSMode = "PERMISSIVE"
	MTLSStrict     MTLSMode = "STRICT"
	MTLSDisable    MTLSMode = "DISABLE"
)

// MTLS is the mode that a workload's port demands, and what gave it.
type MTLS struct {
	Mode MTLSMode
	// Ref is the PeerAuthentication and field that decided; zero for Istio's default.
	Ref Ref
	// Steps hold the deciding level and every PeerAuthentication that was passed over.
	Steps []Step
}

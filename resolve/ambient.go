package resolve

// Whether istiod runs the ambient data plane.
//
//  1. Its variable PILOT_ENABLE_AMBIENT says so; it is off by default. Without it istiod tells no Envoy of HBONE, and
//     ztunnel of nothing.
//  2. Where istiod's Deployment is not known it is taken to be on: nobody labels a namespace for a data plane that
//     is not there.
//  3. The other variables count only while it is on.
//
// Source: pilot/pkg/features/ambient.go.

// RuleAmbientOff is ambient resources under an istiod that does not read them.
const RuleAmbientOff RuleID = "ambient/off"

var ambientRules = []Rule{{
	ID: RuleAmbientOff, Stage: StageCapture,
	Says:     "Without PILOT_ENABLE_AMBIENT istiod knows neither captured pods nor waypoints: proxies send plaintext to captured pods, and no waypoint is used.",
	Template: "does not set PILOT_ENABLE_AMBIENT: istiod tells no proxy of HBONE and of waypoints",
	Source:   "pilot/pkg/features/ambient.go",
}}

// AmbientOff reports whether istiod is known not to run the ambient data plane, with the step that says so.
func (s *Snapshot) AmbientOff() (Step, bool) {
	f := s.feature(featureAmbient)
	if f.ref.IsZero() || f.on {
		return Step{}, false
	}
	return NewStep(RuleAmbientOff, Skipped, f.ref.At("spec.template.spec.containers")), true
}

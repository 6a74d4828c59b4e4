package resolve

import (
	"slices"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
)

// What istiod has been told by its environment.
//
//  1. The Deployment istiod of the revision that is followed, in the namespace of the mesh config, else in the root
//     namespace, has the variables in its container discovery.
//  2. A variable that it does not set, or not to a truth value, has Istio's default.
//  3. Without that Deployment the default is taken, and that is an assumption.
//
// Source: pilot/pkg/features/experimental.go; pkg/env, RegisterBoolVar; manifests/charts/istio-control/istio-discovery.

// RuleIstiodFeature is a switch of istiod that decides.
const RuleIstiodFeature RuleID = "istiod/feature"

var featureRules = []Rule{{
	ID: RuleIstiodFeature, Stage: StageRoute, Detail: true,
	Says:     "istiod takes its switches from its environment, the container discovery of its Deployment.",
	Template: "%s is %s",
	Source:   "pilot/pkg/features/experimental.go",
}}

// feature is a switch of istiod.
type feature struct {
	variable string
	on       bool
	// ref is the Deployment that tells; zero where the default is assumed.
	ref Ref
}

// The switches that the trace asks for.
const (
	featureInference        = "ENABLE_GATEWAY_API_INFERENCE_EXTENSION"
	featureAlphaGatewayAPI  = "PILOT_ENABLE_ALPHA_GATEWAY_API"
	featureAmbient          = "PILOT_ENABLE_AMBIENT"
	featureAmbientNetworks  = "AMBIENT_ENABLE_MULTI_NETWORK"
	featureWaypointNetworks = "AMBIENT_ENABLE_MULTI_NETWORK_WAYPOINT"
	featureIngressNetworks  = "AMBIENT_ENABLE_MULTI_NETWORK_INGRESS"
	featureIngressWaypoint  = "ENABLE_INGRESS_WAYPOINT_ROUTING"
	featurePreferHBONE      = "PILOT_PREFER_SENDING_HBONE"
	featureSendHBONE        = "PILOT_ENABLE_SENDING_HBONE"
	featureZtunnelDryRun    = "AMBIENT_ENABLE_DRY_RUN_AUTHORIZATION_POLICY"
	featureLayeredWaypoint  = "ENABLE_LAYERED_WAYPOINT_AUTHORIZATION_POLICIES"
	featureWildcardTLS      = "ENABLE_WILDCARD_HOST_SERVICE_ENTRIES_FOR_TLS"
	featureAllowWaypoint    = "PILOT_AUTO_ALLOW_WAYPOINT_POLICY"
)

// onByDefault are those of them that are on unless they are switched off.
var onByDefault = []string{featureIngressWaypoint, featureSendHBONE, featureWaypointNetworks}

// IstiodSwitches are the variables of istiod that a trace asks for.
var IstiodSwitches = []string{
	featureInference, featureAlphaGatewayAPI, featureAmbient, featureIngressWaypoint, featurePreferHBONE, featureSendHBONE,
	featureZtunnelDryRun, featureAmbientNetworks, featureWaypointNetworks, featureIngressNetworks, featureAllowWaypoint, featureLayeredWaypoint, featureWildcardTLS, clusterIDVariable,
	featureTrustBundle, variableExternalCA, variableSignerDomain, variableSigner,
	variableRootConfigMap, variableCertProvider,
}

// feature tells of a switch.
func (s *Snapshot) feature(variable string) feature {
	f := feature{variable: variable, on: slices.Contains(onByDefault, variable)}
	d := s.index.istiod()
	if d == nil {
		return f
	}
	f.ref = refOf(appsv1.GroupName, "Deployment", d)
	for _, c := range d.Spec.Template.Spec.Containers {
		for _, e := range c.Env {
			if on, err := strconv.ParseBool(e.Value); c.Name == istiodContainer && e.Name == variable && err == nil {
				f.on = on
			}
		}
	}
	return f
}

// findIstiod is the Deployment of step 1; nil where it is not known.
func findIstiod(s *Snapshot) *appsv1.Deployment {
	for _, d := range s.RunningIn(s.istiodNamespace()).Deployments() {
		if rev := d.Labels["istio.io/rev"]; d.Labels["app"] == "istiod" && (rev == s.Revision || rev == "" && s.Revision == "default") {
			return d
		}
	}
	return nil
}

// told is the step about the Deployment that tells; none where the default is assumed.
func (f feature) told() []Step {
	if f.ref.IsZero() {
		return nil
	}
	state := map[bool]string{true: "on", false: "off"}[f.on]
	return []Step{NewStep(RuleIstiodFeature, Applied, f.ref.At("spec.template.spec.containers"), f.variable, state)}
}

// off says why the switch is off, as a sentence begins.
func (f feature) off() string {
	if f.ref.IsZero() {
		return "istiod is taken to run without " + f.variable + ", its default"
	}
	return f.ref.String() + " does not switch " + f.variable + " on"
}

// verdict is that of a step which rests on the switch: an assumption is a warning.
func (f feature) verdict() Verdict {
	if f.ref.IsZero() {
		return Warned
	}
	return Skipped
}

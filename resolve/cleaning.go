package resolve

import (
	"maps"
	"slices"
	"strings"

	"istio.io/api/annotation"
	meshconfig "istio.io/api/mesh/v1alpha1"
)

// RequestCleaning is what the HTTP connection managers of a proxy do to a request before anything looks at it.
//
//  1. The mesh's pathNormalization says what becomes of a path, for every proxy.
//  2. connectionSettings of the proxy come after and replace what they say something of: repeated slashes, escaped
//     slashes and headers with underscores. They are those of the pod's annotation proxy.istio.io/config, else of
//     the mesh's defaultConfig.
//  3. With profile EDGE a gateway, and no other proxy, merges slashes, redirects paths with escaped slashes and
//     refuses headers with underscores, where the settings do not say otherwise.
//
// Source: pilot/pkg/networking/core/listener_builder.go, buildHTTPConnectionManager;
// pilot/pkg/networking/core/connection_settings.go, resolveConnectionSettings, applyConnectionSettingsToHCM.
type RequestCleaning struct {
	normalize, mergeSlashes bool
	slashes                 slashAction
	underscores             underscoreAction
	// path is what says how paths are normalized, settings what says the rest.
	path, settings Ref
}

type (
	slashAction      = meshconfig.ProxyConfig_ConnectionSettings_PathWithEscapedSlashesAction
	underscoreAction = meshconfig.ProxyConfig_ConnectionSettings_HeadersWithUnderscoresAction
)

const (
	slashesUnset      = meshconfig.ProxyConfig_ConnectionSettings_PATH_WITH_ESCAPED_SLASHES_UNSPECIFIED
	slashesRejected   = meshconfig.ProxyConfig_ConnectionSettings_REJECT_REQUEST
	slashesRedirected = meshconfig.ProxyConfig_ConnectionSettings_UNESCAPE_AND_REDIRECT
	slashesDecoded    = meshconfig.ProxyConfig_ConnectionSettings_UNESCAPE_AND_FORWARD

	underscoresUnset    = meshconfig.ProxyConfig_ConnectionSettings_HEADERS_WITH_UNDERSCORES_UNSPECIFIED
	underscoresRejected = meshconfig.ProxyConfig_ConnectionSettings_HEADERS_WITH_UNDERSCORES_REJECT_REQUEST
	underscoresDropped  = meshconfig.ProxyConfig_ConnectionSettings_HEADERS_WITH_UNDERSCORES_DROP_HEADER
)

// The rules of what becomes of a request before anything looks at it.
const (
	RulePathRelative      RuleID = "path/no-slash"
	RulePathRefused       RuleID = "path/refused"
	RulePathSlashRefused  RuleID = "path/escaped-slash-refused"
	RulePathRedirected    RuleID = "path/escaped-slash-redirected"
	RuleUnderscoreRefused RuleID = "path/underscore-refused"
	RuleUnderscoreDropped RuleID = "path/underscore-dropped"
)

const connectionSettingsSource = "pilot/pkg/networking/core/connection_settings.go, applyConnectionSettingsToHCM"

var cleaningRules = []Rule{
	{
		ID: RulePathRelative, Stage: StageListener,
		Says:     "A path that a rewrite left without its first slash is no valid request to the next proxy: over HTTP/1.1 it answers 400, over HTTP/2 it breaks the stream. What becomes of it is not said for certain.",
		Template: "the path %q does not begin with a slash: the proxy does not take such a request (400 over HTTP/1.1, a broken stream over HTTP/2)",
		Source:   "Envoy, source/common/http/http1/codec_impl.cc, handlePath; RFC 9113, 8.3.1",
	},
	{
		ID: RulePathRefused, Stage: StageListener,
		Says:     "Where paths are normalized, one with an escaped NUL (%00) is answered with 400.",
		Template: "path %s holds %%00, which can not be normalized: Envoy answers 400",
		Source:   "pilot/pkg/networking/core/listener_builder.go, buildHTTPConnectionManager; Envoy, source/common/http/conn_manager_utility.cc, maybeNormalizePath",
	},
	{
		ID: RulePathSlashRefused, Stage: StageListener,
		Says:     "connectionSettings.httpPathWithEscapedSlashesAction REJECT_REQUEST answers a path with %2F or %5C with 400.",
		Template: "path %s holds an escaped slash: Envoy answers 400",
		Source:   connectionSettingsSource + "; Envoy, path_with_escaped_slashes_action",
	},
	{
		ID: RulePathRedirected, Stage: StageListener,
		Says:     "connectionSettings.httpPathWithEscapedSlashesAction UNESCAPE_AND_REDIRECT, which is that of a gateway of profile EDGE, answers a path with %2F or %5C with 307 to the decoded path.",
		Template: "path %s holds an escaped slash: Envoy redirects to %s",
		Source:   connectionSettingsSource + ", applyEdgeProfileDefaults; Envoy, path_with_escaped_slashes_action",
	},
	{
		ID: RuleUnderscoreRefused, Stage: StageListener,
		Says:     "connectionSettings.httpHeadersWithUnderscoresAction REJECT_REQUEST, which is that of a gateway of profile EDGE, refuses requests that have a header with an underscore: 400 by HTTP/1, a reset of the stream by HTTP/2.",
		Template: "header %s has an underscore in its name: Envoy refuses the request",
		Source:   connectionSettingsSource + ", applyEdgeProfileDefaults; Envoy, headers_with_underscores_action",
	},
	{
		ID: RuleUnderscoreDropped, Stage: StageListener,
		Says:     "connectionSettings.httpHeadersWithUnderscoresAction DROP_HEADER removes headers with an underscore before anything looks at them.",
		Template: "header %s has an underscore in its name and is removed",
		Source:   connectionSettingsSource + "; Envoy, headers_with_underscores_action",
	},
}

// RequestCleaning is that of the workload's proxy.
func (s *Snapshot) RequestCleaning(w *Workload) RequestCleaning {
	c := cleaningOf(s.Mesh.GetPathNormalization().GetNormalization())
	c.path = s.Mesh.Ref.At("pathNormalization")
	settings, ref := s.connectionSettings(w)
	c.settings = ref
	edge := settings.GetProfile() == meshconfig.ProxyConfig_ConnectionSettings_EDGE && w.Dataplane == DataplaneGateway
	switch {
	case settings.GetHttpMergeSlashes() != nil:
		c.mergeSlashes = settings.GetHttpMergeSlashes().GetValue()
	case edge:
		c.mergeSlashes = true
	}
	switch action := settings.GetHttpPathWithEscapedSlashesAction(); {
	case action != slashesUnset:
		c.slashes = action
	case edge:
		c.slashes = slashesRedirected
	}
	switch action := settings.GetHttpHeadersWithUnderscoresAction(); {
	case action != underscoresUnset:
		c.underscores = action
	case edge:
		c.underscores = underscoresRejected
	}
	return c
}

// connectionSettings are those of the workload's proxy, and what says so.
func (s *Snapshot) connectionSettings(w *Workload) (*meshconfig.ProxyConfig_ConnectionSettings, Ref) {
	if own := proxyConfigOf(w).GetConnectionSettings(); own != nil {
		return own, w.Owner.At("metadata.annotations[" + annotation.ProxyConfig.Name + "]")
	}
	return s.Mesh.GetDefaultConfig().GetConnectionSettings(), s.Mesh.Ref.At("defaultConfig.connectionSettings")
}

// cleaningOf is what the mesh's pathNormalization says.
func cleaningOf(mode meshconfig.MeshConfig_ProxyPathNormalization_NormalizationType) RequestCleaning {
	c := RequestCleaning{normalize: mode != meshconfig.MeshConfig_ProxyPathNormalization_NONE}
	switch mode {
	case meshconfig.MeshConfig_ProxyPathNormalization_DECODE_AND_MERGE_SLASHES:
		c.mergeSlashes, c.slashes = true, slashesDecoded
	case meshconfig.MeshConfig_ProxyPathNormalization_MERGE_SLASHES:
		c.mergeSlashes = true
	case meshconfig.MeshConfig_ProxyPathNormalization_NONE, meshconfig.MeshConfig_ProxyPathNormalization_BASE,
		meshconfig.MeshConfig_ProxyPathNormalization_DEFAULT:
	}
	return c
}

// Clean is a request path as routes and policies see it. The step is set where the request goes no further, and says
// why: Verdict Applied is a redirect to the path that is returned.
func (c RequestCleaning) Clean(path string) (string, *Step) {
	bare, query, hasQuery := strings.Cut(path, "?")
	decoded := escapedSlashes.Replace(bare)
	if c.slashes == slashesRejected && decoded != bare {
		step := NewStep(RulePathSlashRefused, None, c.settings, bare)
		return path, &step
	}
	if c.normalize && strings.Contains(strings.SplitN(bare, "#", 2)[0], "%00") {
		step := NewStep(RulePathRefused, None, c.path, bare)
		return path, &step
	}
	clean := NormalizePath(bare, c)
	if hasQuery {
		clean += "?" + query
	}
	if c.slashes == slashesRedirected && decoded != bare {
		step := NewStep(RulePathRedirected, Applied, c.settings, bare, clean)
		return clean, &step
	}
	return clean, nil
}

// Underscores are the headers that have one in their names and do not get through, by name, and the steps that say
// so: the request is refused where the first one's verdict is None.
func (c RequestCleaning) Underscores(headers map[string]string) (names []string, steps []Step) {
	if c.underscores != underscoresRejected && c.underscores != underscoresDropped {
		return nil, nil
	}
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		if !strings.Contains(name, "_") {
			continue
		}
		names = append(names, name)
		if c.underscores == underscoresRejected {
			return names, []Step{NewStep(RuleUnderscoreRefused, None, c.settings, name)}
		}
		steps = append(steps, NewStep(RuleUnderscoreDropped, Applied, c.settings, name))
	}
	return names, steps
}

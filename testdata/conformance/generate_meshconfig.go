package conformance

import "strings"

// meshConfig is one in half of the meshes.
func (g generator) meshConfig() []string {
	if g.chance(50) {
		return nil
	}
	var lines []string
	add := func(percent int, line string) {
		if g.chance(percent) {
			lines = append(lines, "    "+line)
		}
	}
	add(30, "outboundTrafficPolicy: {mode: "+g.one("REGISTRY_ONLY", "REGISTRY_ONLY", "ALLOW_ANY", "ALLOW_ANY_DYNAMIC_DNS")+"}")
	add(12, "defaultServiceExportTo: "+g.one(`["."]`, `["*"]`, `["~"]`, `["shop"]`, `[".", "shop"]`, `["~", "shop"]`, `["~", ".", "team"]`))
	add(12, "defaultVirtualServiceExportTo: "+quoted(g.some(2, ".", "*", "team")))
	add(12, "defaultDestinationRuleExportTo: "+quoted(g.some(2, ".", "*", "team")))
	add(8, "rootNamespace: team")
	add(8, "trustDomain: td.example.com")
	add(5, "trustDomainAliases: [old.example.com]")
	add(25, "pathNormalization: {normalization: "+g.one("NONE", "BASE", "MERGE_SLASHES", "DECODE_AND_MERGE_SLASHES")+"}")
	add(10, "enableAutoMtls: false")
	add(8, "inboundTrafficPolicy: {mode: LOCALHOST}")
	add(15, "localityLbSetting: "+g.locality())
	add(10, "discoverySelectors: [{matchLabels: {discovered: \"yes\"}}]")
	add(5, "protocolDetectionTimeout: 1s")
	add(5, "h2UpgradePolicy: UPGRADE")
	add(8, "defaultHttpRetryPolicy: {attempts: "+g.one("0", "3")+"}")
	if len(lines) == 0 {
		return nil
	}
	return []string{object("v1", "ConfigMap", "istio-system", "istio", "data:\n  mesh: |\n"+strings.Join(lines, "\n"))}
}

// locality is a localityLbSetting.
func (g generator) locality() string {
	return g.one("{enabled: false}", "{enabled: true}", "{distribute: [{from: r1/*, to: {r1/z1/*: 80, r2/*: 20}}]}", "{distribute: [{from: r1/z1/*, to: {r1/z2/*: 100}}]}",
		"{failover: [{from: r1, to: r2}]}", "{failoverPriority: [topology.kubernetes.io/region, topology.kubernetes.io/zone]}", "{failoverPriority: [version]}")
}

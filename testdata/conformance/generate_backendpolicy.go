package conformance

import "fmt"

// backendPolicies are BackendTLSPolicies, some of which have a target in common.
func (k *kube) backendPolicies() []string {
	var docs []string
	for i := range 1 + k.IntN(3) {
		namespace := k.one("shop", "shop", "team")
		annotation := k.when(5, ", annotations: {istio.io/ignore-policy-attachment: \""+k.one("true", "True", "no")+"\"}")
		docs = append(docs, fmt.Sprintf("apiVersion: %s\nkind: BackendTLSPolicy\nmetadata: {name: tls%d, namespace: %s%s}\nspec: %s\n", gatewayAPI, i, namespace, annotation,
			fields("targetRefs: "+list(distinctStrings(k.lot(2, k.policyTarget))), "validation: "+k.validation())))
	}
	return docs
}

// policyTarget is what a policy is for.
func (k *kube) policyTarget() string {
	section := k.when(30, "sectionName: "+k.one("http", "http", "tcp-2", "https-2", "http-80", "p-80"))
	switch n := k.IntN(100); {
	case n < 75:
		return fields("group: ''", "kind: Service", "name: "+k.one("a", "a", "a", "c", "c", "b", "web", "empty", "absent"), section)
	case n < 97:
		return fields("group: networking.istio.io", "kind: ServiceEntry", "name: "+k.one("se0", "se0", "se1"), section)
	}
	return "{group: apps, kind: Deployment, name: web}"
}

// validation is how the backend is validated.
func (k *kube) validation() string {
	ca := k.one("wellKnownCACertificates: System", "wellKnownCACertificates: System", "wellKnownCACertificates: System",
		"caCertificateRefs: [{group: '', kind: ConfigMap, name: ca}]", "caCertificateRefs: [{group: '', kind: ConfigMap, name: ca}, {group: '', kind: ConfigMap, name: ca2}]",
		"caCertificateRefs: [{group: '', kind: Secret, name: ca}]", "caCertificateRefs: [{group: example.com, kind: Bundle, name: ca}]")
	return fields("hostname: "+k.one("a.example.com", "b.example.com", "ext.example.com"), ca, k.when(20, "subjectAltNames: ["+k.one("{type: Hostname, hostname: san.example.com}", "{type: URI, uri: 'spiffe://cluster.local/ns/shop/sa/a'}")+"]"))
}

func distinctStrings(list []string) []string {
	var out []string
	seen := map[string]bool{}
	for _, s := range list {
		if !seen[s] {
			out = append(out, s)
		}
		seen[s] = true
	}
	return out
}

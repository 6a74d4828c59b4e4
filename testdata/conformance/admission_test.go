package conformance

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"istio.io/istio/pilot/pkg/config/kube/crd"
	"sigs.k8s.io/yaml"

	loader "github.com/mesh-trace/kubectl-mesh-trace/cmd/load"
)

// admitted are the kinds whose common mistakes the tool tells.
var admitted = []string{
	"Gateway", "VirtualService", "DestinationRule", "ServiceEntry", "AuthorizationPolicy", "RequestAuthentication", "PeerAuthentication",
}

// leftToIstiod are mistakes that Istio's validation tells and the tool does not, each with the reason.
var leftToIstiod = map[string]string{
	"header value configuration":               "the formatting language of Envoy's header values",
	"jwks parse error":                         "the keys of a token's issuer are not read",
	"locality":                                 "the places of locality settings",
	"invalid region":                           "the places of locality settings",
	"zoneAwareLbSetting":                       "the places of locality settings",
	"can not simultaneously specify":           "the places of locality settings",
	"total locality weight":                    "the places of locality settings",
	"tableSize":                                "rings and tables of hashing",
	"name required for HttpCookie":             "rings and tables of hashing",
	"cookie attribute name":                    "rings and tables of hashing",
	"only one of MinimumRingSize":              "rings and tables of hashing",
	"duration is required":                     "the warming of endpoints",
	"minimumPercent":                           "the warming of endpoints",
	"aggression":                               "the warming of endpoints",
	"tunnel":                                   "tunnels",
	"proxy protocol":                           "the PROXY protocol towards destinations",
	"http2 keepalive":                          "keepalives",
	"max concurrent streams":                   "limits of a connection that few set",
	"invalid configmap:// credentialName":      "credentials in ConfigMaps",
	"authority header cannot be set multiple":  "the host that is rewritten twice",
	"invalid or unsupported path":              "the templates of paths",
	"expected format 'serviceAccount'":         "the form of service accounts beyond slashes",
	"value cannot exceed 320 characters":       "the form of service accounts beyond slashes",
	"may not have more than 16 values":         "the form of service accounts beyond slashes",
	"CRL is not supported":                     "revocation lists",
	"unsupported resolution type":              "an API server refuses it before the webhook",
	"mirror_percent must":                      "a field that is deprecated",
	"annotation found":                         "annotations of Istio's own",
	"has unsupported annotation":               "dry-run on kinds that have none",
	"port number must be 0 for unix domain":    "sockets of gateways",
	"is not an absolute path to a file":        "sockets",
	"unix address must not be empty":           "sockets",
	"large direct_responses":                   "the size of a body",
	"destination rule with workload selector":  "told with what is left of exportTo",
	"service entry: ":                          "a warning of istiod's",
	"invalid port number":                      "a JWKS address",
	"first path segment in URL cannot contain": "a JWKS address",
	"invalid URL escape":                       "a JWKS address",
	"missing protocol scheme":                  "a JWKS address",
	"invalid character":                        "a JWKS address",
}

// TestAdmission holds what the tool says that Istio's validating webhook refuses against Istio's own validation: over
// the objects of the scenarios and of Istio's samples and analyzers, as they are and changed at random.
func TestAdmission(t *testing.T) {
	c := begin(t, "Istio's validation of its own objects")
	documents := istioObjects(t)
	if len(documents) < 500 {
		t.Fatalf("only %d objects", len(documents))
	}
	random := rand.New(rand.NewPCG(*seed, 0))
	ask := func(name string, document map[string]any) {
		diff, err := admissionDiff(document)
		c.record(t, name, name, diff, err)
	}
	for _, name := range slices.Sorted(maps.Keys(documents)) {
		ask(name, documents[name])
		for k := range 8 {
			ask(fmt.Sprintf("%s, change %d", name, k), changed(random, documents[name]))
		}
	}
}

// istioObjects are the objects of the kinds, by where they stand.
func istioObjects(t *testing.T) map[string]map[string]any {
	t.Helper()
	out := map[string]map[string]any{}
	take := func(file, text string) {
		for i, doc := range strings.Split(text, "\n---") {
			var object map[string]any
			if yaml.Unmarshal([]byte(doc), &object) != nil {
				continue // templates, and manifests that are wrong on purpose
			}
			kind, _ := object["kind"].(string)
			version, _ := object["apiVersion"].(string)
			meta, _ := object["metadata"].(map[string]any)
			if slices.Contains(admitted, kind) && strings.Contains(version, ".istio.io/") && meta != nil {
				if meta["namespace"] == nil {
					meta["namespace"] = "default"
				}
				out[fmt.Sprintf("%s:%d", file, i)] = object
			}
		}
	}
	istio := filepath.Dir(samplesFolder(t))
	for _, root := range []string{"../scenarios", filepath.Join(istio, "samples"), filepath.Join(istio, "pkg/config/analysis/analyzers/testdata")} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			name := strings.TrimPrefix(strings.TrimPrefix(path, istio), "../")
			switch filepath.Ext(path) {
			case ".txtar":
				archive, err := txtar.ParseFile(path)
				if err != nil {
					return err
				}
				for _, f := range archive.Files {
					take(name+"/"+f.Name, string(f.Data))
				}
			case ".yaml":
				text, err := os.ReadFile(path)
				if err != nil {
					return err
				}
				take(name, string(text))
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// admissionDiff compares what Istio's validation says of an object with what the tool says; an object that does not
// parse comes to neither.
func admissionDiff(object map[string]any) (diff string, err error) {
	text, err := yaml.Marshal(object)
	if err != nil {
		return "", err
	}
	const invalid = "configuration is invalid: "
	_, _, refused := crd.ParseInputs(string(text))
	in, err := loader.Manifests(loader.ManifestOptions{Paths: []string{"-"}, Stdin: strings.NewReader(string(text))})
	if err != nil || refused != nil && !strings.Contains(refused.Error(), invalid) {
		return "", skipped{"an API server refuses the object: a field is of another type"}
	}
	var told []string
	for _, n := range in.Notes {
		if _, message, ok := strings.Cut(n.Message, "refuses this: "); ok && n.Admission {
			told = append(told, message)
		}
	}
	if refused == nil {
		if len(told) > 0 {
			return fmt.Sprintf("- taken\n+ %s\n%s", strings.Join(told, "\n+ "), text), nil
		}
		return "", nil
	}
	for _, message := range told {
		if !strings.Contains(refused.Error(), message) {
			return fmt.Sprintf("- %v\n+ %s\n%s", refused, message, text), nil
		}
	}
	if len(told) == 0 {
		for message, reason := range leftToIstiod {
			if strings.Contains(refused.Error(), message) {
				return "", skipped{"left to istiod: " + reason}
			}
		}
		return fmt.Sprintf("- %v\n+ taken\n%s", refused, text), nil
	}
	return "", nil
}

// others are values that somebody may write where they do not belong, by the type that a field has.
var (
	otherTexts = []any{
		"", "*", "a_b", "foo*", "-x", "10.0.0.0/33", "10.0.0.0/8", "10.1.2.3", "a.b", "*.a.b", "a/b", "A.B", "a.1", "HTTP", "HTTPS", "TCP", "tls", "NONE",
		"~", ".", ":path", "host", "0s", "1.5ms", "x[y]", "(", "spiffe://a/b",
	}
	otherNumbers = []any{0, -1, 1, 99, 200, 302, 700, 70000, 0.5, 150.0}
)

// other is a value to put in the place of one.
func other(random *rand.Rand, value any) any {
	switch value.(type) {
	case string:
		return otherTexts[random.IntN(len(otherTexts))]
	case float64:
		return otherNumbers[random.IntN(len(otherNumbers))]
	case bool:
		return random.IntN(2) == 0
	case []any:
		return []any{}
	case map[string]any:
		return map[string]any{}
	}
	return nil
}

// changed is a copy of an object with one to three values changed, taken away or written twice.
func changed(random *rand.Rand, object map[string]any) map[string]any {
	text, _ := json.Marshal(object)
	var c map[string]any
	_ = json.Unmarshal(text, &c)
	spec, _ := c["spec"].(map[string]any)
	if spec == nil {
		return c
	}
	for range 1 + random.IntN(3) {
		change(random, spec)
	}
	return c
}

// change changes one value within another, which is a map or a list.
func change(random *rand.Rand, within any) {
	switch v := within.(type) {
	case map[string]any:
		if len(v) == 0 {
			return
		}
		keys := slices.Sorted(maps.Keys(v))
		key := keys[random.IntN(len(keys))]
		if random.IntN(8) == 0 {
			delete(v, key)
			return
		}
		changeAt(random, v[key], func(value any) { v[key] = value })
	case []any:
		if len(v) == 0 {
			return
		}
		i := random.IntN(len(v))
		if random.IntN(8) == 0 {
			v[i] = v[random.IntN(len(v))]
			return
		}
		changeAt(random, v[i], func(value any) { v[i] = value })
	}
}

// changeAt changes what is within the value, or sets another one in its place.
func changeAt(random *rand.Rand, value any, set func(any)) {
	switch v := value.(type) {
	case map[string]any:
		if len(v) > 0 && random.IntN(8) > 0 {
			change(random, v)
			return
		}
	case []any:
		if len(v) > 0 && random.IntN(8) > 0 {
			change(random, v)
			return
		}
	}
	set(other(random, value))
}

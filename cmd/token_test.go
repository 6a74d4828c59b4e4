package cmd

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// tokenMesh brings a token, and what is in it, to as many places as there are.
const tokenMesh = clusterMesh + `---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: tokens, namespace: shop}
spec: {jwtRules: [{issuer: idp, jwks: "{}", forwardOriginalToken: true, outputPayloadToHeader: x-payload, outputClaimToHeaders: [{header: x-sub, claim: sub}]}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: by-token, namespace: shop}
spec: {action: DENY, rules: [{when: [{key: "request.headers[authorization]", values: ["Bearer x"]}]}, {when: [{key: "request.headers[x-jwt]", values: ["x"]}]}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: details, namespace: shop}
spec:
  hosts: [details]
  http:
  - match: [{headers: {authorization: {exact: Bearer x}}}, {headers: {x-jwt: {prefix: x}}}, {queryParams: {access_token: {exact: x}}}]
    route: [{destination: {host: reviews}}]
  - redirect: {uri: /elsewhere, redirectCode: 302}
---
apiVersion: v1
kind: Service
metadata: {name: details, namespace: shop}
spec: {clusterIP: 10.1.0.2, clusterIPs: [10.1.0.2], selector: {app: details}, ports: [{name: http, port: 9080}]}
`

// TestTokensAreNeverPrinted: whichever way a token is given, no part of it is in any output, nor in what is said of
// a command line that is wrong.
func TestTokensAreNeverPrinted(t *testing.T) {
	file, tokens := writeFile(t, "mesh.yaml", tokenMesh), map[string]string{}
	for name, parts := range map[string][2]string{
		"as most issuers write it": {`{"alg":"RS256","typ":"JWT"}`, `{"iss":"idp","sub":"ann"}`},
		"indented":                 {"{\n  \"alg\": \"RS256\"\n}", "{\n  \"iss\": \"idp\",\n  \"sub\": \"ann\"\n}"},
		"spaced":                   {`{ "alg": "RS256" }`, `{ "iss": "idp", "sub": "ann" }`},
		"of another issuer":        {`{"alg":"RS256"}`, `{"iss":"other","sub":"ann"}`},
	} {
		tokens[name] = segment(parts[0]) + "." + segment(parts[1]) + "." + segment("the signature of it")
	}
	for name, token := range tokens {
		ways := [][]string{
			{"--jwt", token},
			{"--jwt", "@" + writeFile(t, "token", token)},
			{"--jwt", "Bearer " + token},
			{"--jwt", token, "--claim", "more=x"},
			{"-H", "authorization: Bearer " + token},
			{"-H", "x-jwt: " + token},
			// and what is wrong
			{"--jwt", "@" + token},
			{"--jwt", token + ".x.y"},
			{"--jwt", token + ".x"},
			{"--jwt", "x" + token},
			{"--jwt", token, "--jwt", "@"},
			{"--jwt", token, "-H", "authorization: Bearer x"},
			{"--jwt", token, "--claim", "=x"},
			{"--jwt", token, "--from", "pod/no-such"},
			{"--jwt", token, "--from", "no kind/x"},
			{"--jwt", token, "-f", "no-such-file"},
			{"--jwt", token, "--gateway", "no-such"},
			{"--jwt", token, "--no-such"},
			{"--jwt", token, "-o", "jsonpath={.no"},
			{"--jwt", token, "--v", "10"},
		}
		for _, way := range ways {
			for _, url := range []string{"reviews:9080/", "details:9080/"} {
				for _, format := range []string{"text", "wide", "json", "yaml", "name", "jsonpath={}", "go-template={{.}}"} {
					args := slices.Concat([]string{"-n", "shop", "-f", file, "--explain", "full", "-o", format}, way, []string{url})
					r := runWith(t, join(), args...)
					for _, part := range strings.Split(token, ".") {
						if strings.Contains(r.Out+r.ErrOut, part) {
							t.Errorf("%s: %q shows %q:\n%s%s", name, way, part, r.Out, r.ErrOut)
						}
					}
				}
			}
		}
	}
	r := runWith(t, join(), "-n", "shop", "-f", file, "-o", "json", "--jwt", tokens["spaced"], "reviews:9080/")
	var document struct {
		Request  struct{ Headers map[string]string }
		Outcomes []struct {
			Forwarded struct{ Headers map[string]string }
		}
	}
	if err := json.Unmarshal([]byte(r.Out), &document); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"authorization": "Bearer …"}, document.Request.Headers); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]string{"x-payload": "…", "x-sub": "ann"}, document.Outcomes[0].Forwarded.Headers); diff != "" {
		t.Error(diff)
	}
}

func segment(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	name = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

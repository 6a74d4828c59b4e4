package trace

import (
	"encoding/base64"
	"encoding/json"
	"regexp"
	"strings"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// ParseJWT decodes the payload of a token. It verifies nothing: the trace asks
// what the mesh does with a token that is valid. Its refusals never repeat the
// token.
func ParseJWT(text string) (*resolve.Token, error) {
	const expected = "expected a JWT (three parts joined with dots), or @FILE that holds one"
	parts := strings.Split(bearer(text), ".")
	switch len(parts) {
	case 3:
	case 5:
		return nil, refuse(InputJWT, "is encrypted (five parts), and its claims can not be read; give them with --claim")
	default:
		return nil, refuse(InputJWT, "is not a token: %s", expected)
	}
	payload, err := decodeSegment(parts[1])
	if err != nil {
		return nil, refuse(InputJWT, "is not a token: its second part is not base64url; %s", expected)
	}
	token := &resolve.Token{}
	if err := json.Unmarshal(payload, &token.Claims); err != nil || token.Claims == nil {
		return nil, refuse(InputJWT, "is not a token: its payload is not a JSON object; %s", expected)
	}
	return token, nil
}

// setClaims reads "k=v". A value that is a JSON list or object is taken as such; every other is a string.
func setClaims(token *resolve.Token, claims []string) error {
	given := map[string]bool{}
	for _, claim := range claims {
		key, text, ok := strings.Cut(claim, "=")
		if !ok || key == "" {
			return refuse(InputClaim, "%q: expected KEY=VALUE", claim)
		}
		if given[key] {
			return refuse(InputClaim, `%q is given twice; several values are a list: --claim '%s=["a","b"]'`, key, key)
		}
		given[key] = true
		value, err := parseClaim(claim, text)
		if err != nil {
			return err
		}
		token.Claims[key] = value
	}
	return nil
}

func parseClaim(claim, text string) (any, error) {
	trimmed := strings.TrimSpace(text)
	if !strings.HasPrefix(trimmed, "[") && !strings.HasPrefix(trimmed, "{") {
		return text, nil
	}
	var value any
	if err := json.Unmarshal([]byte(trimmed), &value); err != nil {
		return nil, refuse(InputClaim, "%q: the value begins as a JSON list or object and is none: %v", claim, err)
	}
	return value, nil
}

// bearer is the token in what people paste: with the scheme of the header, with a newline.
func bearer(text string) string {
	text = strings.TrimSpace(text)
	if scheme, token, ok := strings.Cut(text, " "); ok && strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(token)
	}
	return text
}

// withoutSignature is the token's header and payload.
func withoutSignature(token string) string {
	if i := strings.LastIndexByte(token, '.'); i >= 0 {
		return token[:i+1]
	}
	return token
}

// tokenShape is what tokens look like anywhere in a request: an object as header, and two dots.
var tokenShape = regexp.MustCompile(`eyJ[\w-]*\.[\w-]+\.[\w-]+`)

// withoutSignatures takes the signatures off all tokens in a text.
func withoutSignatures(text string) string {
	return tokenShape.ReplaceAllStringFunc(text, withoutSignature)
}

// unsignedJWT encodes claims that were given one by one.
func unsignedJWT(token *resolve.Token) (string, error) {
	text, err := token.Encode()
	if err != nil {
		return "", refuse(InputClaim, "can not be written as JSON: %v", err)
	}
	return text, nil
}

// decodeSegment is lenient about padding, which some tools leave on.
func decodeSegment(s string) ([]byte, error) {
	return base64.RawURLEncoding.DecodeString(strings.TrimRight(s, "="))
}

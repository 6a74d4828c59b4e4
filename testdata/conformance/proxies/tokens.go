package proxies

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"
)

// Tokens of requests are taken to be well signed, and valid now. Envoy looks at the signature: each is signed anew.

var signer = sync.OnceValues(func() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) })

// publicKeys is the key set with which Envoy verifies.
func publicKeys() (string, error) {
	key, err := signer()
	if err != nil {
		return "", err
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		return "", err
	}
	encode := base64.RawURLEncoding.EncodeToString
	return fmt.Sprintf(`{"keys":[{"kty":"EC","crv":"P-256","alg":"ES256","use":"sig","x":%q,"y":%q}]}`, encode(point[1:33]), encode(point[33:])), nil
}

// token is one in a header or path, in which the dots may be escaped.
var token = regexp.MustCompile(`([A-Za-z0-9_-]+)(\.|%2E)([A-Za-z0-9_-]+)(?:\.|%2E)[A-Za-z0-9_-]*`)

// signed is a text with its tokens signed anew; what each of them was is noted. A token that is none stays. expired is set
// where one was valid once, which the clock of an Envoy can not be told.
func signed(text string, was map[string]string) (out string, expired bool, err error) {
	key, err := signer()
	if err != nil {
		return "", false, err
	}
	whole := text
	out = token.ReplaceAllStringFunc(text, func(old string) string {
		parts := token.FindStringSubmatch(old)
		var head struct{ Alg string }
		var claims map[string]any
		if !decoded(parts[1], &head) || !decoded(parts[3], &claims) || claims == nil {
			return old
		}
		if exp, ok := claims["exp"].(float64); ok && exp < float64(time.Now().Unix()) {
			expired = true
		}
		if longer(whole, old) {
			err = Unaskable{"a token with more sections before or behind it: signed anew it may be another"}
			return old
		}
		text, _ := base64.RawURLEncoding.DecodeString(parts[1]) // decoded has done so
		text = bytes.Replace(text, []byte(`"`+head.Alg+`"`), []byte(`"ES256"`), 1)
		begin := base64.RawURLEncoding.EncodeToString(text) + "." + parts[3]
		digest := sha256.Sum256([]byte(begin))
		r, s, e := ecdsa.Sign(rand.Reader, key, digest[:])
		if e != nil {
			err = e
			return old
		}
		signature := make([]byte, 64)
		r.FillBytes(signature[:32])
		s.FillBytes(signature[32:])
		made := begin + "." + base64.RawURLEncoding.EncodeToString(signature)
		was[made] = strings.ReplaceAll(old, "%2E", ".")
		if parts[2] != "." {
			escaped := strings.ReplaceAll(made, ".", parts[2])
			was[escaped] = old
			return escaped
		}
		return made
	})
	return out, expired, err
}

// longer reports whether the token is a part of something with more sections, which is none.
func longer(text, token string) bool {
	before, after, _ := strings.Cut(text, token)
	return strings.HasSuffix(before, ".") || strings.HasPrefix(after, ".")
}

func decoded(part string, into any) bool {
	text, err := base64.RawURLEncoding.DecodeString(part)
	return err == nil && json.Unmarshal(text, into) == nil
}

// unsigned puts the tokens back.
func unsigned(text string, was map[string]string) string {
	for made, old := range was {
		text = strings.ReplaceAll(text, made, old)
	}
	return text
}

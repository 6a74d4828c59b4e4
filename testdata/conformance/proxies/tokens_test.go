package proxies

import (
	"encoding/base64"
	"testing"
)

func TestSigned(t *testing.T) {
	encode := base64.RawURLEncoding.EncodeToString
	token := func(claims string) string {
		return encode([]byte(`{"alg":"RS256"}`)) + "." + encode([]byte(claims)) + ".c2ln"
	}
	for name, c := range map[string]struct {
		text             string
		changed, expired bool
	}{
		"a token":      {"Bearer " + token(`{"iss":"a"}`), true, false},
		"in a query":   {"/a?t=" + token(`{"iss":"a"}`) + "&x=y", true, false},
		"expired":      {token(`{"exp":1000000000}`), true, true},
		"no claims":    {"a.b.c", false, false},
		"an address":   {"192.0.2.1", false, false},
		"not a header": {encode([]byte("none")) + "." + encode([]byte("{}")) + ".c2ln", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			was := map[string]string{}
			got, expired, err := signed(c.text, was)
			if err != nil || expired != c.expired || (got != c.text) != c.changed {
				t.Errorf("%s → %s, expired %v, %v", c.text, got, expired, err)
			}
			if back := unsigned(got, was); back != c.text {
				t.Errorf("%s → %s → %s", c.text, got, back)
			}
		})
	}
}

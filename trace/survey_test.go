package trace

import (
	"testing"
)

func TestParseHost(t *testing.T) {
	for _, tc := range []struct {
		text, host string
		scheme     Scheme
		port       int
	}{
		{"reviews", "reviews", "", 0},
		{"reviews.shop:9080", "reviews.shop", "", 9080},
		{"https://shop.example.com", "shop.example.com", HTTPS, 0},
		{"tcp://db", "db", TCP, 0},
		{"tcp://db:5432", "db", TCP, 5432},
		{"[2001:db8::1]", "2001:db8::1", "", 0},
		{"[2001:db8::1]:80", "2001:db8::1", "", 80},
	} {
		got, err := ParseHost(tc.text)
		if err != nil || got.Host != tc.host || got.Scheme != tc.scheme || got.Port != tc.port {
			t.Errorf("%s: %+v, %v", tc.text, got, err)
		}
	}
	for _, text := range []string{"", "reviews/path", "reviews?x", "ftp://a", "a:0", "a:b", "tcp://"} {
		if got, err := ParseHost(text); err == nil {
			t.Errorf("%q is taken: %+v", text, got)
		}
	}
}

func FuzzParseHost(f *testing.F) {
	for _, seed := range []string{"reviews", "http://a:1", "[::1]:2", "tcp://x", "a:b:c"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := ParseHost(text)
		if err == nil && (got.Host == "" || got.Port < 0 || got.Port > 65535) {
			t.Errorf("%q: %+v", text, got)
		}
	})
}

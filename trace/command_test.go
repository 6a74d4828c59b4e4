package trace

import "testing"

func TestCommand(t *testing.T) {
	q := Typed{
		URL: "http://a/b?c=d&e", Namespace: "n", From: "shop/pod/a", Gateway: "g", Method: "PUT", Headers: []string{"k: it's", "l:"},
		SourceIP: "10.0.0.1", SNI: "s", ClientCert: "spiffe://a/b", Claims: []string{`g=["a"]`}, JWT: "a.b.c",
	}
	want := `kubectl mesh-trace -f 'a b.yaml' -n n --from shop/pod/a --gateway g -X PUT -H 'k: it'\''s' -H l: --source-ip 10.0.0.1 --sni s --client-cert spiffe://a/b --claim 'g=["a"]' --jwt a.b.c 'http://a/b?c=d&e'`
	if got := q.Command("-f", "a b.yaml"); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

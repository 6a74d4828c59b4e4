package resolve

import "testing"

func TestEvaluateExpression(t *testing.T) {
	known := map[string]string{"response.code": "403", "request.method": "GET", "request.headers.x-user": "jason"}
	for _, tc := range []struct {
		expression string
		want       Truth
	}{
		{"response.code >= 400", True},
		{"response.code < 400", False},
		{"response.code == 403 && request.method == 'GET'", True},
		{"response.code == 200 || request.method == \"GET\"", True},
		{"!(response.code == 403)", False},
		{"request.headers['X-User'] == 'jason'", True},
		{"request.headers['x-user'].startsWith('ja')", True},
		{"response.code in [401, 403]", True},
		{"response.code in [401, 404]", False},
		{"response.flags != 0", Unknown},
		{"response.flags != 0 || response.code == 403", True},
		{"response.flags != 0 && response.code == 200", False},
		{"has(request.headers['x-user'])", Unknown},
		{"connection.mtls", Unknown},
		{"response.code >= ", Unknown},
		{"response.code >= 400)", Unknown},
		{"response.code + 1 == 404", Unknown},
		{"true", True},
		{"", Unknown},
	} {
		t.Run(tc.expression, func(t *testing.T) {
			got := evaluateExpression(tc.expression, func(name string) (string, bool) {
				v, ok := known[name]
				return v, ok
			})
			if got != tc.want {
				t.Errorf("want %v, got %v", tc.want, got)
			}
		})
	}
}

func FuzzEvaluateExpression(f *testing.F) {
	for _, seed := range []string{"response.code >= 400", "a.b['c'].contains(\"d\") in [1, 'x']", "!!((", "a[", "'\\'"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		nothing := evaluateExpression(text, func(string) (string, bool) { return "", false })
		something := evaluateExpression(text, func(string) (string, bool) { return "1", true })
		if nothing != Unknown && something != Unknown && nothing != something {
			t.Errorf("%q is %v without attributes and %v with them", text, nothing, something)
		}
	})
}

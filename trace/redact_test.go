package trace

import "testing"

func TestRedact(t *testing.T) {
	for text, want := range map[string]string{
		"":                               "",
		"Bearer " + jwt(`{"sub":"ann"}`): "Bearer …",
		`{"authorization":"Bearer ` + jwt(`{"iss":"idp"}`) + `"}`: `{"authorization":"Bearer …"}`,
		"a=" + jwt(`{ "iss": "idp" }`) + "&b=c":                   "a=…&b=c",
		"got " + encodeSegment([]byte("{\n\"iss\": \"idp\"\n}")):  "got …",
		"x" + jwt(`{"sub":"ann"}`):                                "…",
		"garbage." + encodeSegment([]byte(`{"sub":"ü"}`)) + ".x":  "…",

		"outbound|80|v1|reviews.shop.svc.cluster.local":                          "outbound|80|v1|reviews.shop.svc.cluster.local",
		"/keyJobs-list/surveyJobs1234 newyork-production.example.com ewok-fleet": "/keyJobs-list/surveyJobs1234 newyork-production.example.com ewok-fleet",
		"VirtualService shop/eyeglasses spec.http[0] (mesh.yaml:31)":             "VirtualService shop/eyeglasses spec.http[0] (mesh.yaml:31)",
		"istio-eastwestgateway.istio-system":                                     "istio-eastwestgateway.istio-system",
	} {
		if got := string(Redact([]byte(text))); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}

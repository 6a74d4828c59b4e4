package casefile

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestValidatorFile(t *testing.T) {
	suites := mustParse(t, `testCases:
- description: users
  wantMatch: true
  why: to see
  request:
    authority: [www.example.com, "*.example.com"]
    method: [GET, PUT]
    uri: [/users, "/users?a=b"]
    headers: {x-user-id: 1}
  route:
  - destination: {host: users.users.svc.cluster.local, port: {number: 80}}
---
testCases:
- description: not so
  request: {authority: [a], method: [GET], uri: [users]}
  rewrite: {uri: /partner}
`)
	if len(suites) != 2 || !suites[0].Validator || len(suites[0].Cases) != 8 {
		t.Fatalf("%+v", suites)
	}
	var got []string
	for _, c := range suites[0].Cases {
		got = append(got, fmt.Sprint(c.Name, ": ", c.Request.Method, " ", c.Request.URL, " ", c.Request.Headers))
	}
	if diff := cmp.Diff([]string{
		"users [GET www.example.com/users]: GET http://www.example.com/users [x-user-id: 1]",
		"users [PUT www.example.com/users]: PUT http://www.example.com/users [x-user-id: 1]",
		"users [GET *.example.com/users]: GET http://wildcard.example.com/users [x-user-id: 1]",
		"users [PUT *.example.com/users]: PUT http://wildcard.example.com/users [x-user-id: 1]",
	}, got[:4]); diff != "" {
		t.Error(diff)
	}
	if want := "users [GET www.example.com/users?a=b]: GET http://www.example.com/users?a=b [x-user-id: 1]"; got[4] != want {
		t.Errorf("%s, want %s", got[4], want)
	}
	rule := suites[0].Cases[0].Rule
	if !rule.WantMatch || len(rule.Route) != 1 || rule.Route[0].Destination.Port.Number != 80 || rule.Rewrite != nil {
		t.Errorf("%+v", rule)
	}
	if diff := cmp.Diff([]string{"dir/cases.yaml:4: testCases[0].why: unknown field; it counts for nothing"}, suites[0].Warnings); diff != "" {
		t.Error(diff)
	}
	other := suites[1].Cases[0]
	if other.Rule.WantMatch || other.Rule.Route != nil || other.Rule.Rewrite.Uri != "/partner" || other.Request.URL != "http://a/users" {
		t.Errorf("%+v %+v", other.Request, other.Rule)
	}
}

func TestValidatorProblems(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"no request", "testCases: [{description: a}]", "c.yaml:1: document 1: testCases[0].request: missing; expected authority, method and uri"},
		{"no method", "testCases: [{request: {authority: [a], uri: [/]}}]", "c.yaml:1: document 1: testCases[0].request.method: expected at least one"},
		{"a text for a list", "testCases: [{request: {authority: a, method: [GET], uri: [/]}}]", `c.yaml:1: document 1: testCases[0].request.authority: expected a list, got "a"`},
		{"another type", "testCases: [{request: {authority: [a], method: [GET], uri: [/]}, wantMatch: maybe}]", "c.yaml:1: document 1: testCases[0].wantMatch: expected true or false: json: cannot unmarshal string into Go value of type bool"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := Parse("c.yaml", []byte(tc.text), noFile)
			if err == nil {
				t.Fatal("no error")
			}
			if diff := cmp.Diff(tc.want, err.(Problems)[0].Error()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

package show

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/reach"
)

// hostile is a name that no API server would take, and that files may have.
const hostile = "=cmd|'/C'!A0\x1b[31m\u202e<script>`|*\n"

func located(resolve.Ref) string { return "" }

func hostileAnswer() *reach.Answer {
	return reach.Sum(&trace.Trace{Outcomes: []trace.Outcome{{
		Weight: 100, Decision: trace.Denied, HTTPStatus: 403, Code: trace.CodePolicyDeny, Certainty: trace.Assumed, Reason: hostile,
		By: resolve.Ref{Kind: "AuthorizationPolicy", Namespace: "shop", Name: hostile},
	}}})
}

func hostileMatrix(t *testing.T) *reach.Matrix {
	t.Helper()
	s := resolve.NewSnapshot(resolve.Input{Offline: true})
	source := &reach.Source{Kind: reach.ExternalSource, Ref: resolve.Ref{Kind: "Deployment", Name: hostile}}
	request := trace.Request{Scheme: trace.HTTP, Host: hostile, Port: 80, Path: "/" + hostile, Method: "GET", From: trace.SourceSpec{External: true}}
	m, err := reach.NewMatrix(t.Context(), s, []*reach.Source{source}, []reach.Question{{Request: request, Namespace: hostile}})
	if err != nil {
		t.Fatal(err)
	}
	m.Warn(trace.Warning{Message: hostile})
	m.Answers[0] = hostileAnswer()
	return m
}

// safe fails for what a terminal would act on.
func safe(t *testing.T, what string, data []byte) {
	t.Helper()
	if text := string(data); strings.ContainsAny(text, "\x1b\u202e") {
		t.Errorf("%s lets a terminal act: %q", what, text)
	}
}

func TestHostileNames(t *testing.T) {
	report := &reach.Report{
		Request:  trace.Request{Scheme: trace.HTTP, Host: hostile, Port: 80, Path: "/"},
		Groups:   []reach.Group{{Answer: hostileAnswer(), Members: []reach.Member{{Source: &reach.Source{Kind: reach.WorkloadSource, Namespace: hostile, Ref: resolve.Ref{Kind: "Pod", Name: hostile}}, Pods: 1}}}},
		Warnings: []trace.Warning{{Message: hostile}},
	}
	safe(t, "text", Text(report, Options{Wide: true, Locate: located}))
	document, err := json.Marshal(NewWhoCan(report, located))
	if err != nil {
		t.Fatal(err)
	}
	safe(t, "WhoCan", document)
	m := hostileMatrix(t)
	for _, by := range []By{ByWorkload, ByNamespace} {
		safe(t, "table", Table(m, by, Options{Wide: true, Locate: located}))
		table, err := CSV(m, by)
		if err != nil {
			t.Fatal(err)
		}
		safe(t, "CSV", table)
		records, err := csv.NewReader(strings.NewReader(string(table))).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		for _, record := range records {
			for _, cell := range record {
				if cell != "" && strings.Contains("=+-@", cell[:1]) {
					t.Errorf("a spreadsheet takes %q for a formula", cell)
				}
			}
		}
		markdown := string(Markdown(m, by))
		safe(t, "Markdown", []byte(markdown))
		if strings.ContainsAny(markdown, "<`") || strings.Count(strings.SplitN(markdown, "\n", 2)[0], "|") != 3 {
			t.Errorf("Markdown or HTML gets through: %s", markdown)
		}
	}
	data, err := NewMatrix(m, located).JSON()
	if err != nil {
		t.Fatal(err)
	}
	safe(t, "Matrix", data)
	for name, document := range map[string]any{"WhoCan": NewWhoCan(report, located), "Matrix": NewMatrix(m, located)} {
		data, err := yaml.Marshal(document)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(data), "\x1b") {
			t.Errorf("%s in YAML lets a terminal act: %q", name, data)
		}
	}
}

// TestMatrixJSON: the lines of the cells are the document's.
func TestMatrixJSON(t *testing.T) {
	want := NewMatrix(hostileMatrix(t), located)
	data, err := want.JSON()
	if err != nil {
		t.Fatal(err)
	}
	var got Matrix
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatalf("%v in\n%s", err, data)
	}
	if diff := cmp.Diff(want, &got); diff != "" {
		t.Error(diff)
	}
}

// TestManyNamespaces: a group of many namespaces counts what is in each, unless the text is wide.
func TestManyNamespaces(t *testing.T) {
	group := reach.Group{Answer: reach.Sum(&trace.Trace{Outcomes: []trace.Outcome{{Weight: 100, Decision: trace.Delivered, Certainty: trace.Certain}}})}
	for i := range 12 {
		for _, name := range []string{"a", "b"} {
			source := &reach.Source{Kind: reach.WorkloadSource, Namespace: fmt.Sprintf("team-%02d", i), Ref: resolve.Ref{Kind: "Deployment", Name: name}}
			group.Members = append(group.Members, reach.Member{Source: source, Pods: 1})
		}
	}
	report := &reach.Report{Request: trace.Request{Scheme: trace.HTTP, Method: "GET", Host: "x", Port: 80, Path: "/"}, Groups: []reach.Group{group}}
	const want = "24 of 24 sources can GET http://x/\n\nLet through: 24 sources\n  Delivered\n" +
		"    12 namespaces: team-00 (2), team-01 (2), team-02 (2), team-03 (2), team-04 (2), team-05 (2) and 6 more\n"
	if diff := cmp.Diff(want, string(Text(report, Options{Locate: located}))); diff != "" {
		t.Error(diff)
	}
	if wide := string(Text(report, Options{Wide: true, Locate: located})); !strings.Contains(wide, "\n    team-11: deployment/a, deployment/b\n") {
		t.Errorf("not all are named:\n%s", wide)
	}
}

package cmd

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// generated compares a page under docs with what the code says, or with -update writes it.
func generated(t *testing.T, page, want string) {
	t.Helper()
	path := "../docs/" + page
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("%s is stale; go test ./cmd -run Docs -update writes it (-code +page):\n%s", path, diff)
	}
}

// cell escapes what would end a cell of a Markdown table.
func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

// stages are in the order in which a request meets them.
var stages = []struct {
	stage resolve.Stage
	says  string
}{
	{resolve.StageSource, "Who sends the request."},
	{resolve.StageDNS, "What the application's name lookup gives."},
	{resolve.StageCapture, "Whether a proxy takes the connection."},
	{resolve.StageSidecar, "What the proxy knows of the mesh."},
	{resolve.StageGateway, "Which gateway workload and which servers."},
	{resolve.StageWaypoint, "Whether a waypoint takes the request, and which."},
	{resolve.StageListener, "Which listener and filter chain."},
	{resolve.StageTLS, "How the connection is secured."},
	{resolve.StagePeerAuthentication, "Which mTLS mode the receiver is in."},
	{resolve.StageExtension, "What stands in the proxy and is not modelled."},
	{resolve.StageRequestAuthentication, "Whether an end-user token is accepted."},
	{resolve.StageAuthorizationPolicy, "Who may do what."},
	{resolve.StageHost, "Which virtual host, and which VirtualService owns it."},
	{resolve.StageRoute, "Which route."},
	{resolve.StageFilter, "What the route does before it forwards."},
	{resolve.StageDestinationRule, "Which DestinationRule, subset and cluster."},
	{resolve.StageLoadBalance, "Which endpoints."},
	{resolve.StageApplication, "Who answers."},
	{resolve.StageTrust, "A fact: who signs certificates, and by what they and istiod are trusted."},
	{resolve.StageTimeout, "A fact: how long the request may take."},
	{resolve.StageRetry, "A fact: what the proxy tries again."},
	{resolve.StageConnection, "A fact: how the proxy connects."},
	{resolve.StageCircuitBreaker, "A fact: how much the proxy sends at once."},
	{resolve.StageOutlierDetection, "A fact: when an endpoint gets no requests for a while."},
	{resolve.StageReplicas, "A fact: how many pods there are, and how many there are to be."},
	{resolve.StageTelemetry, "A fact: where the request will be seen."},
	{resolve.StageProxy, "A fact: what the proxy runs with."},
}

func TestDocsRules(t *testing.T) {
	var b strings.Builder
	b.WriteString("# Rules\n\nEvery step of a trace follows one of these rules; `-o wide` and `-o json` show its id. Ids are stable. A path such as\n" +
		"`pilot/pkg/…` is one of [istio/istio](https://github.com/istio/istio). This page is generated from the code; a test\nkeeps it so.\n")
	written := 0
	for _, s := range stages {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n", s.stage, s.says)
		in := slices.DeleteFunc(resolve.Rules(), func(r resolve.Rule) bool { return r.Stage != s.stage })
		written += len(in)
		if len(in) == 0 {
			b.WriteString("No rule of its own.\n")
			continue
		}
		b.WriteString("| rule | says | source |\n|---|---|---|\n")
		for _, r := range in {
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", r.ID, cell(r.Says), cell(r.Source))
		}
	}
	if all := len(resolve.Rules()); written != all {
		t.Errorf("%d of %d rules are of a listed stage", written, all)
	}
	generated(t, "rules.md", b.String())
}

func TestDocsCodes(t *testing.T) {
	var b strings.Builder
	b.WriteString("# Reason codes\n\n`code` of an outcome in `-o json`; `kubectl mesh-trace codes` prints this list. A plain delivery has none. Codes are\n" +
		"stable. This page is generated from the code; a test keeps it so.\n\n| code | decision | meaning |\n|---|---|---|\n")
	for _, c := range trace.Codes() {
		fmt.Fprintf(&b, "| [`%s`](#%s) | %s | %s |\n", c.Code, strings.ToLower(string(c.Code)), c.Decision, cell(c.Says))
	}
	b.WriteString("\n# What to look at\n\n`kubectl mesh-trace codes CODE` prints one of these. The rules are those by which requests come to the code; [rules.md](rules.md)\n" +
		"has what each says. A test holds them against every scenario.\n")
	for _, c := range trace.Codes() {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n", c.Code, c.Check)
		for _, id := range c.Rules {
			fmt.Fprintf(&b, "- `%s` (%s)\n", id, resolve.LookupRule(id).Source)
		}
	}
	b.WriteString("\n# Access logs\n\n`responseFlags` and `responseCodeDetails` of an outcome in `-o json`, as the access log of the proxy that decided has " +
		"them; … is what\ndepends on the request. A TCP proxy logs no details: what its RBAC filter denies stands in\n`%CONNECTION_TERMINATION_DETAILS%`, " +
		"the field after `%RESPONSE_CODE_DETAILS%` in Istio's format. A connection that no proxy takes,\nor that breaks within the receiver's own handshake, has neither. " +
		"Flags stand in the order in which Envoy sets them. A test\nholds this list against every scenario: each has its line, and each line its scenario.\n\n" +
		"| flags | details | meaning | source in Envoy |\n|---|---|---|---|\n")
	for _, d := range trace.Details() {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", strings.Join(d.Flags, " or "), code(d.Details), cell(d.Says), cell(d.Source))
	}
	b.WriteString("\nWhat else Envoy can log, and why no outcome has it:\n\n| details | why not |\n|---|---|\n")
	for _, d := range trace.DetailsElsewhere() {
		fmt.Fprintf(&b, "| %s | %s |\n", cell(d.Details), cell(d.Says))
	}
	generated(t, "codes.md", b.String())
}

// code is a text in a table cell as code; a "|" in it is escaped.
func code(text string) string {
	if text == "" {
		return ""
	}
	return "`" + cell(text) + "`"
}

func TestDocsSamples(t *testing.T) {
	var b strings.Builder
	fmt.Fprintf(&b, "# Istio's samples, traced\n\nWhat the command says of requests to the samples of `%s`,\nand why that is right. The files are read under `samples/`; "+
		"beside them stands a Namespace `default` with the label\n`istio-injection: enabled`, except where it says so. An outcome is its share, decision, status and flags, subset,\n"+
		"workloads, code and, where it is not certain, how sure it is. A test runs every line; this page is generated from it.\n", samplesOf)
	files := ""
	for _, s := range samples {
		if s.because == "" || len(s.want) == 0 {
			t.Errorf("%s lacks an answer or a reason", s.name())
		}
		heading := strings.Join(strings.Fields(s.files), ", ")
		if s.bare {
			heading += " (no Namespace)"
		}
		if heading != files {
			fmt.Fprintf(&b, "\n## %s\n\n| request | answer | right because |\n|---|---|---|\n", heading)
			files = heading
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", s.args, cell(strings.Join(s.want, "<br>")), cell(s.because))
	}
	generated(t, "samples.md", b.String())
}

func TestDocsCommands(t *testing.T) {
	flags := newTraceFlags()
	sections := flags.AddFlags(&cobra.Command{})
	root := newRootCommand(genericiooptions.NewTestIOStreamsDiscard(), Build{}, Deps{})
	var b strings.Builder
	b.WriteString("# Commands\n\nWhat `kubectl mesh-trace --help` says, and `--help` of each subcommand. This page is generated from the code; a test keeps it so.\n")
	page := func(c *cobra.Command, line string) {
		fmt.Fprintf(&b, "\n## `%s`\n\n%s\n\n```sh\n%s\n```\n", line, fenced(c.Long), unindented(c.Example))
	}
	page(root, "kubectl mesh-trace [flags] URL")
	for _, s := range sections {
		fmt.Fprintf(&b, "\n### %s\n\n", s.title)
		flagTable(&b, s.Flags())
	}
	for _, text := range []string{rootExit, rootEnvironment, rootFiles} {
		fmt.Fprintf(&b, "\n```text\n%s```\n", text)
	}
	for _, c := range root.Commands() {
		page(c, "kubectl mesh-trace "+c.Use)
		if c.LocalFlags().HasFlags() {
			b.WriteString("\n")
			flagTable(&b, c.LocalFlags())
		}
	}
	generated(t, "commands.md", b.String())
}

// flagTable lists the flags that the help shows.
func flagTable(b *strings.Builder, flags *pflag.FlagSet) {
	b.WriteString("| flag | meaning |\n|---|---|\n")
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		name := "`--" + f.Name + "`"
		if f.Shorthand != "" {
			name = "`-" + f.Shorthand + "`, " + name
		}
		usage := f.Usage
		if !slices.Contains([]string{"", "[]", "0", "false"}, f.DefValue) {
			usage += " (default " + f.DefValue + ")"
		}
		fmt.Fprintf(b, "| %s | %s |\n", name, cell(usage))
	})
}

// fenced keeps the words of a help text that Markdown would take for its own.
func fenced(text string) string {
	return "```text\n" + text + "\n```"
}

// unindented is a block of examples as a page shows it.
func unindented(text string) string {
	return strings.TrimPrefix(strings.ReplaceAll("\n"+text, "\n  ", "\n"), "\n")
}

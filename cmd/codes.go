package cmd

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/cli-runtime/pkg/printers"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// codeList is the document of `codes`.
type codeList struct {
	APIVersion string     `json:"apiVersion"`
	Kind       string     `json:"kind"`
	Items      []codeItem `json:"items"`
}

type codeItem struct {
	Code     trace.Code     `json:"code"`
	Decision trace.Decision `json:"decision"`
	Meaning  string         `json:"meaning"`
	Check    string         `json:"check"`
	// Rules are those by which outcomes get the code.
	Rules []ruleItem `json:"rules"`
}

// ruleList is the document of rules.
type ruleList struct {
	APIVersion string     `json:"apiVersion"`
	Kind       string     `json:"kind"`
	Items      []ruleItem `json:"items"`
}

type ruleItem struct {
	ID      resolve.RuleID `json:"id"`
	Stage   resolve.Stage  `json:"stage"`
	Meaning string         `json:"meaning"`
	Source  string         `json:"source"`
}

const codesLong = `List the reason codes, or say more of one: what it means, what to look at next, and
the rules of Istio by which a request comes to it, with their source.

A code is the field code of an outcome in -o json and -o yaml, and the word after
"code" in text. Codes are stable; a plain delivery has none. A rule is the id that
-o wide shows in brackets at each step: what it says, where it was read in Istio or
Envoy, and which codes it decides.`

const codesExample = `  # A table
  kubectl mesh-trace codes

  # What to do about one
  kubectl mesh-trace codes POLICY_NO_ALLOW

  # What a rule says, and where Istio has it
  kubectl mesh-trace codes route/match-uri

  # The codes of one decision
  kubectl mesh-trace codes -o json | jq -r '.items[] | select(.decision == "Denied") | .code'`

// newCodesCommand is `codes`: the stable reason codes of outcomes, and the rules behind them.
func newCodesCommand(streams genericiooptions.IOStreams, deps Deps) *cobra.Command {
	var format string
	var rules bool
	c := &cobra.Command{
		Use:                   "codes [CODE|RULE] [-o json|yaml]",
		DisableFlagsInUseLine: true,
		Short:                 "List the reason codes an outcome can have, or explain one",
		Long:                  codesLong,
		Example:               codesExample,
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case len(args) > 1:
				return usagef("codes: expected one code or rule, got %q", args)
			case len(args) == 1 && rules:
				return usagef("--rules can not be used together with %q", args[0])
			}
			return nil
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return completeCodes(typed), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			output, err := codesOutput(args, rules, format)
			if err != nil {
				return err
			}
			_, err = streams.Out.Write(output)
			return err
		},
	}
	c.Flags().BoolVar(&rules, "rules", false, "List the rules in place of the codes.")
	addDataFormat(c, deps, &format)
	return c
}

func codesOutput(args []string, rules bool, format string) ([]byte, error) {
	switch {
	case rules:
		return printRules(resolve.Rules(), format)
	case len(args) == 0:
		return printCodes(trace.Codes(), format)
	}
	code := trace.Code(strings.ReplaceAll(strings.ToUpper(args[0]), "-", "_"))
	for _, info := range trace.Codes() {
		if info.Code == code {
			return printCode(info, format)
		}
	}
	for _, rule := range resolve.Rules() {
		if string(rule.ID) == args[0] {
			return printRule(rule, format)
		}
	}
	return nil, usagef("%q is no code and no rule; the nearest are %s", args[0], strings.Join(nearestCodes(args[0]), ", "))
}

// completeCodes are the codes, and as soon as something is typed the rules too.
func completeCodes(typed string) []string {
	names := codeNames()
	if typed == "" {
		names = slices.DeleteFunc(names, func(name string) bool { return strings.Contains(name, "/") })
	}
	return startingWith(names, typed)
}

// codeNames are all codes, then all rules.
func codeNames() []string {
	var names []string
	for _, info := range trace.Codes() {
		names = append(names, string(info.Code))
	}
	for _, rule := range resolve.Rules() {
		names = append(names, string(rule.ID))
	}
	return names
}

// nearestCodes are the three names that take the fewest edits.
func nearestCodes(typed string) []string {
	names := codeNames()
	distance := make(map[string]int, len(names))
	for _, name := range names {
		distance[name] = edits(strings.ToLower(typed), strings.ToLower(name))
	}
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(distance[a], distance[b]) })
	return names[:3]
}

// edits is the Levenshtein distance of two names, in bytes.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal, row[j+1] = row[j+1], min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

func codeItemOf(info trace.CodeInfo) codeItem {
	item := codeItem{info.Code, info.Decision, info.Says, info.Check, []ruleItem{}}
	for _, id := range info.Rules {
		item.Rules = append(item.Rules, ruleItemOf(resolve.LookupRule(id)))
	}
	return item
}

func ruleItemOf(rule resolve.Rule) ruleItem {
	return ruleItem{rule.ID, rule.Stage, rule.Says, rule.Source}
}

func printCodes(codes []trace.CodeInfo, format string) ([]byte, error) {
	if format != "" {
		list := codeList{APIVersion: "meshtrace.dev/v1alpha1", Kind: "CodeList", Items: []codeItem{}}
		for _, info := range codes {
			list.Items = append(list.Items, codeItemOf(info))
		}
		return encode(list, format)
	}
	var rows [][]string
	for _, info := range codes {
		rows = append(rows, []string{string(info.Code), string(info.Decision), info.Says})
	}
	return tabulated([]string{"CODE", "DECISION", "MEANING"}, rows)
}

func printRules(rules []resolve.Rule, format string) ([]byte, error) {
	if format != "" {
		list := ruleList{APIVersion: "meshtrace.dev/v1alpha1", Kind: "RuleList", Items: []ruleItem{}}
		for _, rule := range rules {
			list.Items = append(list.Items, ruleItemOf(rule))
		}
		return encode(list, format)
	}
	var rows [][]string
	for _, rule := range rules {
		rows = append(rows, []string{string(rule.ID), string(rule.Stage), rule.Says})
	}
	return tabulated([]string{"RULE", "STAGE", "MEANING"}, rows)
}

// tabulated is a table with aligned columns.
func tabulated(head []string, rows [][]string) ([]byte, error) {
	var b bytes.Buffer
	w := printers.GetNewTabWriter(&b)
	for _, row := range append([][]string{head}, rows...) {
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	if err := w.Flush(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// printCode is one code in full; as a document, a list of one.
func printCode(info trace.CodeInfo, format string) ([]byte, error) {
	if format != "" {
		return printCodes([]trace.CodeInfo{info}, format)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s  %s\nmeans    %s\nlook at  %s\n", info.Code, info.Decision, info.Says, info.Check)
	for i, id := range info.Rules {
		rule, word := resolve.LookupRule(id), "rules"
		if i > 0 {
			word = ""
		}
		fmt.Fprintf(&b, "%-8s %s: %s\n%9s%s\n", word, rule.ID, rule.Says, "", rule.Source)
	}
	return b.Bytes(), nil
}

// printRule is one rule in full; as a document, a list of one.
func printRule(rule resolve.Rule, format string) ([]byte, error) {
	if format != "" {
		return printRules([]resolve.Rule{rule}, format)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s  %s\nsays     %s\nsource   %s\n", rule.ID, rule.Stage, rule.Says, rule.Source)
	var decides []string
	for _, info := range trace.Codes() {
		if slices.Contains(info.Rules, rule.ID) {
			decides = append(decides, string(info.Code))
		}
	}
	if len(decides) > 0 {
		fmt.Fprintf(&b, "codes    %s\n", strings.Join(decides, ", "))
	}
	return b.Bytes(), nil
}

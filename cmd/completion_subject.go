package cmd

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mesh-trace/kubectl-mesh-trace/cmd/load"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/explain"
)

// What completes HOST, KIND/NAME and NAMESPACE/KIND/NAME.
//
//  1. A word without a slash is a host, or a kind.
//  2. Behind a kind, as any of its names, stand the objects of the current namespace.
//  3. Behind any other word, which is a namespace, stand the kinds, and behind these the objects of that namespace.

// completeSubject completes what is to be explained.
func completeSubject(hosts cobra.CompletionFunc, of completionOf) cobra.CompletionFunc {
	const noFile = cobra.ShellCompDirectiveNoFileComp
	return func(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, noFile
		}
		if strings.Contains(typed, "://") {
			return hosts(c, args, typed)
		}
		namespace, kind, named := subject(typed)
		switch {
		case named:
			choices := func(s known) []string { return objectsOf(s, namespace, kind) }
			return of(choices, noFile, objectQueries(namespace, kind))(c, args, typed)
		case namespace != "":
			return startingWith(subjectKinds(namespace+"/"), typed), noFile | cobra.ShellCompDirectiveNoSpace
		}
		found, _ := hosts(c, args, typed)
		return append(found, startingWith(subjectKinds(""), typed)...), noFile | cobra.ShellCompDirectiveNoSpace
	}
}

// subject parts what was typed; named is set where only the name is still to come.
func subject(typed string) (namespace, kind string, named bool) {
	switch parts := strings.Split(typed, "/"); {
	case len(parts) == 2 && isSubjectKind(parts[0]):
		return "", parts[0], true
	case len(parts) == 2:
		return parts[0], "", false
	case len(parts) == 3:
		return parts[0], parts[1], true
	}
	return "", "", false
}

func isSubjectKind(word string) bool {
	_, ok := explain.KindOf(word)
	return ok || slices.Contains(trace.SourceKinds(), word)
}

// subjectKinds are the kinds, each behind the prefix and before a slash.
func subjectKinds(prefix string) []string {
	var out []string
	for _, kind := range slices.Concat(explain.Kinds(), trace.SourceKinds()) {
		out = append(out, prefix+strings.ToLower(kind)+"/")
	}
	return sorted(out)
}

// objectQueries asks a cluster for the objects of a kind in one namespace.
func objectQueries(namespace, kind string) func(typed, current string) []load.NameQuery {
	return func(_, current string) []load.NameQuery {
		if namespace != "" {
			current = namespace
		}
		if name, ok := explain.KindOf(kind); ok {
			return []load.NameQuery{load.ObjectNames(name, current)}
		}
		return []load.NameQuery{load.SourceNames(current)}
	}
}

// objectsOf are the objects of a kind as they are typed; without a namespace those of the current one.
func objectsOf(s known, namespace, kind string) []string {
	prefix, in := kind+"/", s.namespace
	if namespace != "" {
		prefix, in = namespace+"/"+prefix, namespace
	}
	name, ok := explain.KindOf(kind)
	if !ok { // what requests come from
		if namespace != "" {
			s.namespace = "" // all are named with theirs
		}
		return startingWith(sourcesOf(s), prefix)
	}
	var out []string
	for _, qualified := range s.NamesOf(name) {
		if object, ok := strings.CutPrefix(qualified, in+"/"); ok {
			out = append(out, prefix+object)
		}
	}
	return out
}

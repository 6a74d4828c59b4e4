package cmd

import (
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/mesh-trace/kubectl-mesh-trace/trace"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/render"
)

// secretFlags are those whose value is a credential. A page is made to be sent to others.
var secretFlags = []string{"jwt", "token"}

// commandLine is what was typed, as a shell reads it, flags by name. A credential in it is "…".
func commandLine(flags *pflag.FlagSet, url string) string {
	var words []string
	flags.Visit(func(f *pflag.Flag) {
		values := []string{f.Value.String()}
		if several, ok := f.Value.(pflag.SliceValue); ok {
			values = several.GetSlice()
		}
		for _, v := range values {
			switch {
			case slices.Contains(secretFlags, f.Name) && !strings.HasPrefix(v, "@"):
				v = "…"
			case f.Name == "header":
				if name, value, found := strings.Cut(v, ":"); found {
					v = name + ": " + render.Disclose(strings.TrimSpace(name), strings.TrimSpace(value))
				}
			}
			switch {
			case f.Value.Type() == "bool" && v == "true":
				words = append(words, "--"+f.Name)
			case f.NoOptDefVal != "": // which takes no value in a word of its own
				words = append(words, "--"+f.Name+"="+v)
			default:
				words = append(words, "--"+f.Name, v)
			}
		}
	})
	return string(trace.Redact([]byte(trace.Typed{URL: url}.Command(words...))))
}

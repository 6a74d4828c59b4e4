package trace

import (
	"slices"
	"strings"
)

// Command is the command line that traces the request, as a shell reads it; flags say on which mesh.
func (t Typed) Command(flags ...string) string {
	words := slices.Concat([]string{"kubectl", "mesh-trace"}, flags)
	add := func(flag string, values ...string) {
		for _, v := range values {
			if v != "" {
				words = append(words, flag, v)
			}
		}
	}
	add("-n", t.Namespace)
	add("--from", t.From)
	add("--gateway", t.Gateway)
	add("-X", t.Method)
	add("-H", t.Headers...)
	add("--source-ip", t.SourceIP)
	add("--sni", t.SNI)
	add("--client-cert", t.ClientCert)
	add("--claim", t.Claims...)
	add("--jwt", t.JWT)
	words = append(words, t.URL)
	for i, w := range words {
		words[i] = quoted(w)
	}
	return strings.Join(words, " ")
}

// quoted is a word as a shell reads it.
func quoted(word string) string {
	plain := strings.IndexFunc(word, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("-_./:@%+,=", c)
	}) < 0
	if plain && word != "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

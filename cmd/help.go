package cmd

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// section is a family of flags under one heading of the help. The command that
// holds them has no other purpose: it is cobra's way to a set of flags.
type section struct {
	title string
	*cobra.Command
}

// newSection makes a section and has the family add its flags.
func newSection(title string, add func(*cobra.Command)) section {
	s := section{title, &cobra.Command{}}
	add(s.Command)
	return s
}

// exitCodes is the annotation with the exit codes of a subcommand that has others than subcommandExit.
const exitCodes = "exit-codes"

// usageOf prints the usage of the root command with its flags by section, and that of a subcommand, whose own flags stand before
// those that the sections have as well.
func usageOf(root *cobra.Command, sections []section) func(*cobra.Command) error {
	return func(c *cobra.Command) error {
		width := terminalWidth(c.OutOrStdout())
		var b strings.Builder
		fmt.Fprintf(&b, "Usage:\n  %s\n", c.UseLine())
		if c.HasExample() {
			fmt.Fprintf(&b, "\nExamples:\n%s\n", c.Example)
		}
		if c != root {
			writeFlags(&b, c.LocalFlags(), sections, width)
			b.WriteString("\n" + cmp.Or(c.Annotations[exitCodes], subcommandExit))
			_, err := fmt.Fprint(c.OutOrStdout(), b.String())
			return err
		}
		for _, s := range sections {
			fmt.Fprintf(&b, "\n%s:\n%s", s.title, s.Flags().FlagUsagesWrapped(width))
		}
		b.WriteString("\nSubcommands:\n")
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() {
				fmt.Fprintf(&b, "  %-12s %s\n", sub.Name(), sub.Short)
			}
		}
		for _, text := range []string{rootExit, rootEnvironment, rootFiles} {
			b.WriteString("\n" + text)
		}
		b.WriteString("\nkubectl mesh-trace SUBCOMMAND --help says more of a subcommand.\n")
		_, err := fmt.Fprint(c.OutOrStdout(), b.String())
		return err
	}
}

// writeFlags writes the flags of a subcommand: its own, one that means something else here too, then the others under the
// headings of the root command's.
func writeFlags(b *strings.Builder, flags *pflag.FlagSet, sections []section, width int) {
	own := &pflag.FlagSet{}
	shared := make([]pflag.FlagSet, len(sections))
	flags.VisitAll(func(f *pflag.Flag) {
		for i, s := range sections {
			same := s.Flags().Lookup(f.Name)
			if same != nil && (same.Usage == f.Usage || f.Name == "output") { // every command has its own formats
				shared[i].AddFlag(f)
				return
			}
		}
		own.AddFlag(f)
	})
	if own.HasAvailableFlags() {
		fmt.Fprintf(b, "\nFlags:\n%s", own.FlagUsagesWrapped(width))
	}
	for i, s := range sections {
		if shared[i].HasAvailableFlags() {
			fmt.Fprintf(b, "\n%s:\n%s", s.title, shared[i].FlagUsagesWrapped(width))
		}
	}
}

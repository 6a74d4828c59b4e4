package cmd

import (
	"bytes"
	"fmt"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/cli-runtime/pkg/printers"

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
}

const codesLong = `List the reason codes: the field code of an outcome in -o json and -o yaml, and
the word after "code" in text. Codes are stable; a plain delivery has none. With
each comes the decision it belongs to.`

const codesExample = `  # A table
  kubectl mesh-trace codes

  # The codes of one decision
  kubectl mesh-trace codes -o json | jq -r '.items[] | select(.decision == "Denied") | .code'`

// newCodesCommand is `codes`: the stable reason codes of outcomes.
func newCodesCommand(streams genericiooptions.IOStreams) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:                   "codes [-o json|yaml]",
		DisableFlagsInUseLine: true,
		Short:                 "List the reason codes an outcome can have",
		Long:                  codesLong,
		Example:               codesExample,
		Args:                  noArguments,
		RunE: func(*cobra.Command, []string) error {
			output, err := printCodes(trace.Codes(), format)
			if err != nil {
				return err
			}
			_, err = streams.Out.Write(output)
			return err
		},
	}
	addDataFormat(c, &format)
	return c
}

func printCodes(codes []trace.CodeInfo, format string) ([]byte, error) {
	if format != "" {
		list := codeList{APIVersion: "meshtrace.dev/v1alpha1", Kind: "CodeList", Items: []codeItem{}}
		for _, info := range codes {
			list.Items = append(list.Items, codeItem{info.Code, info.Decision, info.Says})
		}
		return encode(list, format)
	}
	var b bytes.Buffer
	w := printers.GetNewTabWriter(&b)
	fmt.Fprintln(w, "CODE\tDECISION\tMEANING")
	for _, info := range codes {
		fmt.Fprintf(w, "%s\t%s\t%s\n", info.Code, info.Decision, info.Says)
	}
	if err := w.Flush(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

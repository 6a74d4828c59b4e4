package cmd

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/mesh-trace/kubectl-mesh-trace/trace/render"
)

// addDataFormat adds -o to a subcommand whose data is a table or a line by default.
func addDataFormat(c *cobra.Command, deps Deps, format *string) {
	c.Flags().StringVarP(format, "output", "o", "", "Output format. One of: (json, yaml).")
	deps.complete(c, "output", oneOf("json", "yaml"))
}

// addFormats adds -o to a subcommand that has formats of its own; the first is the default.
func addFormats(c *cobra.Command, deps Deps, format *string, formats ...string) {
	c.Flags().StringVarP(format, "output", "o", formats[0], "Output format. One of: ("+strings.Join(formats, ", ")+").")
	deps.complete(c, "output", oneOf(formats...))
}

// checkFormat refuses a format that is none of these.
func checkFormat(format string, formats ...string) error {
	if !slices.Contains(formats, format) {
		return usagef("--output %q: expected one of %s", format, strings.Join(formats, ", "))
	}
	return nil
}

// encode is the value as JSON or YAML.
func encode(value any, format string) ([]byte, error) {
	switch format {
	case "json":
		data, err := json.MarshalIndent(value, "", "    ")
		return append(data, '\n'), err
	case "yaml":
		data, err := yaml.Marshal(value)
		return []byte(render.EscapeLines(string(data))), err // it writes bidirectional overrides and the like as they are
	}
	return nil, usagef("--output %q: expected one of json, yaml", format)
}

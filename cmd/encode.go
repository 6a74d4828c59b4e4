package cmd

import (
	"encoding/json"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"
)

// addDataFormat adds -o to a subcommand whose data is a table or a line by default.
func addDataFormat(c *cobra.Command, format *string) {
	c.Flags().StringVarP(format, "output", "o", "", "Output format. One of: (json, yaml).")
	complete(c, "output", oneOf("json", "yaml"))
}

// encode is the value as JSON or YAML.
func encode(value any, format string) ([]byte, error) {
	switch format {
	case "json":
		data, err := json.MarshalIndent(value, "", "    ")
		return append(data, '\n'), err
	case "yaml":
		return yaml.Marshal(value)
	}
	return nil, usagef("--output %q: expected one of json, yaml", format)
}

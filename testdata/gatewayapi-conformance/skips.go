package gatewayapi

import (
	"fmt"
	"os"

	"sigs.k8s.io/yaml"
)

// Skip is a reason and the tests it holds for.
type Skip struct {
	Reason string   `json:"reason"`
	Tests  []string `json:"tests"`
}

// ReadSkips reads the list of the tests that are left out: the reason of each, by name.
func ReadSkips(path string) (map[string]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var list []Skip
	if err := yaml.UnmarshalStrict(text, &list); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	out := map[string]string{}
	for _, s := range list {
		for _, name := range s.Tests {
			if out[name] != "" || s.Reason == "" {
				return nil, fmt.Errorf("%s: %s stands twice, or has no reason", path, name)
			}
			out[name] = s.Reason
		}
	}
	return out, nil
}

package gatewayapi

import (
	"encoding/json"

	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// fill sets the defaults of a schema in the fields that are not written, as an API server does.
func fill(value any, props apiextensions.JSONSchemaProps) {
	switch v := value.(type) {
	case map[string]any:
		for name, p := range props.Properties {
			if _, written := v[name]; !written && p.Default != nil {
				if d, ok := decoded(p.Default.Raw); ok {
					v[name] = d
				}
			}
			if child, written := v[name]; written {
				fill(child, p)
			}
		}
	case []any:
		if props.Items == nil || props.Items.Schema == nil {
			return
		}
		for _, item := range v {
			fill(item, *props.Items.Schema)
		}
	}
}

// decoded is a default with whole numbers as an untyped object has them.
func decoded(raw []byte) (any, bool) {
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return nil, false
	}
	return wholeNumbers(v), true
}

func wholeNumbers(v any) any {
	switch x := v.(type) {
	case float64:
		return int64(x)
	case map[string]any:
		for k := range x {
			x[k] = wholeNumbers(x[k])
		}
	case []any:
		for i := range x {
			x[i] = wholeNumbers(x[i])
		}
	}
	return v
}

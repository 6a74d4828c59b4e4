package resolve

import (
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

func TestGapsOf(t *testing.T) {
	gk := schema.GroupKind{Kind: "Service"}
	tests := []struct {
		name       string
		gap        Gap
		namespaces []string
		want       bool
	}{
		{"the whole kind, anywhere", Gap{GroupKind: gk}, nil, true},
		{"the whole kind, one namespace", Gap{GroupKind: gk}, []string{"shop"}, true},
		{"another kind", Gap{GroupKind: schema.GroupKind{Kind: "Pod"}}, nil, false},
		{"a namespace, anywhere", Gap{GroupKind: gk, Namespace: "shop"}, nil, true},
		{"a namespace, itself", Gap{GroupKind: gk, Namespace: "shop"}, []string{"bank", "shop"}, true},
		{"a namespace, another", Gap{GroupKind: gk, Namespace: "shop"}, []string{"bank"}, false},
		{"all but one, that one", Gap{GroupKind: gk, Except: []string{"shop"}}, []string{"shop"}, false},
		{"all but one, that one and another", Gap{GroupKind: gk, Except: []string{"shop"}}, []string{"shop", "bank"}, true},
		{"all but one, anywhere", Gap{GroupKind: gk, Except: []string{"shop"}}, nil, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := NewSnapshot(Input{Gaps: []Gap{tt.gap}})
			if got := len(s.GapsOf(gk, tt.namespaces...)) == 1; got != tt.want {
				t.Errorf("GapsOf(%v) finds the gap: %t, want %t", tt.namespaces, got, tt.want)
			}
		})
	}
}

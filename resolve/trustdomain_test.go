package resolve

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMigratePrincipals(t *testing.T) {
	tests := []struct {
		name    string
		domains []string
		in      string
		want    []string
	}{
		{"C-1: cluster.local stands for the mesh's", []string{"td1"}, "cluster.local/ns/foo/sa/bar", []string{"td1/ns/foo/sa/bar"}},
		{"C-2: not five parts", []string{"td1"}, "cluster.local/ns/foo/*", []string{"cluster.local/ns/foo/*"}},
		{"C-3: any trust domain", []string{"td1"}, "*/ns/foo/sa/bar", []string{"*/ns/foo/sa/bar"}},
		{"C-4: a star in the middle moves along", []string{"td1"}, "cluster.local/ns/*/sa/bar", []string{"td1/ns/*/sa/bar"}},
		{"an alias stands for all", []string{"td2", "td1"}, "td1/ns/foo/sa/bar", []string{"td2/ns/foo/sa/bar", "td1/ns/foo/sa/bar"}},
		{"unknown domain stays", []string{"td1", "td2"}, "td3/ns/foo/sa/bar", []string{"td3/ns/foo/sa/bar"}},
		{"suffix pattern stays once", []string{"new-td", "old-td", "x"}, "*-td/ns/foo/sa/bar", []string{"*-td/ns/foo/sa/bar", "x/ns/foo/sa/bar"}},
		{"star", []string{"td1"}, "*", []string{"*"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, migratePrincipals([]string{tt.in}, tt.domains)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestExpandTrustDomains(t *testing.T) {
	got := expandTrustDomains([]string{"td1", "x", "td2"}, []string{"td1", "td2"})
	if diff := cmp.Diff([]string{"td1", "td2", "x"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestTrustsPeer(t *testing.T) {
	s := snapshotOf(t, "kind: MeshConfig\ntrustDomain: td1\ntrustDomainAliases: [td2]\ncaCertificates: [{pem: x, trustDomains: [td3]}]\n")
	tests := []struct {
		name, peer string
		want       bool
		step       string
	}{
		{"own", "td1/ns/a/sa/x", true, "allowed trustdomain/trusted-peer trustDomain: td1/ns/a/sa/x is of trust domain td1, which the mesh trusts"},
		{"alias", "td2/ns/a/sa/x", true, "allowed trustdomain/trusted-peer trustDomain: td2/ns/a/sa/x is of trust domain td2, which the mesh trusts"},
		{"of a CA certificate", "td3/ns/a/sa/x", true, "allowed trustdomain/trusted-peer trustDomain: td3/ns/a/sa/x is of trust domain td3, which the mesh trusts"},
		{"foreign", "cluster.local/ns/a/sa/x", false, "denied trustdomain/foreign-peer trustDomain: the handshake fails: cluster.local/ns/a/sa/x is of trust domain cluster.local, and the mesh trusts td1, td2, td3 (want td1, td2, td3, got cluster.local)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, step := s.TrustsPeer(tt.peer)
			if got != tt.want {
				t.Errorf("got %v", got)
			}
			if diff := cmp.Diff([]string{tt.step}, stepLines([]Step{step})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

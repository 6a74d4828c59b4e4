package reach

import (
	"strings"
	"testing"
)

func TestParseSource(t *testing.T) {
	for _, tc := range []struct {
		text             string
		takes, takesNone []string
	}{
		{"all", []string{"shop/deployment/web", "other/job/x"}, nil},
		{"shop", []string{"shop/deployment/web"}, []string{"other/deployment/web"}},
		{"team-*", []string{"team-a/job/x"}, []string{"team/job/x"}},
		{"shop/web", []string{"shop/deployment/web", "shop/job/web"}, []string{"shop/deployment/web2", "other/deployment/web"}},
		{"deployment/web", []string{"current/deployment/web"}, []string{"shop/deployment/web", "current/job/web"}},
		{"deploy/web", []string{"current/deployment/web"}, nil},
		{"shop/deployments.apps/w*", []string{"shop/deployment/web"}, []string{"shop/statefulset/web"}},
		{"*/*/web", []string{"shop/job/web"}, []string{"shop/job/web2"}},
		{"external", nil, []string{"shop/deployment/web"}},
		{"unmeshed", nil, []string{"shop/deployment/web"}},
	} {
		p, err := ParseSource(tc.text, "current")
		if err != nil {
			t.Errorf("%s: %v", tc.text, err)
			continue
		}
		for want, names := range map[bool][]string{true: tc.takes, false: tc.takesNone} {
			for _, name := range names {
				part := strings.Split(name, "/")
				if got := p.takes(part[0], part[1], part[2]); got != want {
					t.Errorf("%s takes %s: got %t", tc.text, name, got)
				}
			}
		}
	}
}

func TestParseSourceRefuses(t *testing.T) {
	for _, text := range []string{"", "/", "a/", "/a", "a//b", "a/b/c/d", "[", "a/[", "shop/service/web"} {
		if p, err := ParseSource(text, "current"); err == nil {
			t.Errorf("%q is taken: %+v", text, p)
		}
	}
	for _, text := range []string{"", "a/b/c", "a/[", "a/"} {
		if p, err := ParseService(text); err == nil {
			t.Errorf("%q is taken as services: %+v", text, p)
		}
	}
}

func FuzzParseSource(f *testing.F) {
	for _, text := range []string{"all", "shop/web", "deployment/web", "a/b/c", "[", "*/[a-", "\\", "a/pod/x\x00"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParseSource(text, "current")
		if err != nil {
			return
		}
		if p.Text != text {
			t.Errorf("%q became %q", text, p.Text)
		}
		if p.takes("shop", "deployment", "web") && !p.inNamespace("shop") {
			t.Errorf("%q takes a workload of a namespace in which it looks for none", text)
		}
	})
}

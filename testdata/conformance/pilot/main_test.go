package pilot_test

import (
	"testing"

	istiolog "istio.io/istio/pkg/log"
)

func TestMain(m *testing.M) {
	for _, scope := range istiolog.Scopes() {
		scope.SetOutputLevel(istiolog.NoneLevel) // a difference would drown in what istiod logs
	}
	m.Run()
}

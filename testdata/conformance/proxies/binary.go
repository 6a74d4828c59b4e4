package proxies

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
)

const (
	// Release is the version of Envoy that .ci/envoy installs.
	Release = "1.40.0"
	// PathVariable names another Envoy. Where it is set, a test that can not ask Envoy fails.
	PathVariable = "ENVOY"
)

// Find is the Envoy to ask, the one that PathVariable names. err says why there is none.
func Find() (path string, err error) {
	if path = os.Getenv(PathVariable); path == "" {
		return "", fmt.Errorf("%s names none", PathVariable)
	}
	output, err := exec.Command(path, "--version").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("no Envoy runs (%s names one, .ci/envoy installs one): %s: %w %s", PathVariable, path, err, strings.TrimSpace(string(output)))
	}
	return path, nil
}

// Insisted reports whether someone said which Envoy to ask.
func Insisted() bool { return os.Getenv(PathVariable) != "" }

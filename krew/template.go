// Package krew renders the plugin's manifest for krew out of its template, mesh-trace.yaml. Its tests are those of a
// release: every check that the CI of the krew index makes (kubernetes-sigs/krew-index, .github/workflows/ci.yml:
// validate-krew-manifest, which installs the archive of each platform) on the archives that goreleaser makes.
package krew

import (
	"bufio"
	"bytes"
	_ "embed" // the template
	"fmt"
	"io"
	"path"
	"strings"
	"text/template"
)

//go:embed mesh-trace.yaml
var manifestTemplate string

// Manifest is the manifest of the release of a tag, with the sums of its archives by file name. It is what
// krew-release-bot makes of the template (rajatjindal/krew-release-bot, pkg/source/template.go), without a download.
func Manifest(tag string, sums map[string]string) ([]byte, error) {
	funcs := template.FuncMap{
		"addURIAndSha": func(uri, tag string) (string, error) {
			uri, err := fill(uri, tag, nil)
			if err != nil {
				return "", err
			}
			sum, ok := sums[path.Base(uri)]
			if !ok {
				return "", fmt.Errorf("no sum of %s", path.Base(uri))
			}
			return fmt.Sprintf("uri: %s\n    sha256: %s", uri, sum), nil
		},
	}
	text, err := fill(manifestTemplate, tag, funcs)
	return []byte(text), err
}

// fill fills a template of the bot; funcs may be nil.
func fill(text, tag string, funcs template.FuncMap) (string, error) {
	parsed, err := template.New("mesh-trace.yaml").Option("missingkey=error").Funcs(funcs).Parse(text)
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	err = parsed.Execute(&b, map[string]string{"TagName": tag})
	return b.String(), err
}

// Checksums reads a file of checksums as sha256sum writes it, by file name.
func Checksums(r io.Reader) (map[string]string, error) {
	sums := map[string]string{}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		sum, file, ok := strings.Cut(lines.Text(), "  ")
		if !ok {
			return nil, fmt.Errorf("%q is no sum and file name", lines.Text())
		}
		sums[file] = sum
	}
	return sums, lines.Err()
}

package e2e

import (
	"bufio"
	"context"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mesh-trace/kubectl-mesh-trace/testdata/e2e/cluster"
)

// --watch, on what a real API server sends.

// watching is a kubectl mesh-trace --watch that runs.
type watching struct {
	t       *testing.T
	command *exec.Cmd
	// lines are those of stdout and of stderr, the latter after onStderr.
	lines chan string
}

const onStderr = "stderr: "

// watch starts it, as the user of a kubeconfig file.
func watch(t *testing.T, kubeconfig, request string) *watching {
	t.Helper()
	dir := cluster.Plugin(t)
	w := &watching{t: t, lines: make(chan string, 1000)}
	w.command = exec.CommandContext(t.Context(), filepath.Join(dir, "kubectl"), append([]string{"mesh-trace", "--watch"}, words(request)...)...)
	w.command.Env = []string{"PATH=" + dir, "HOME=" + t.TempDir(), "KUBECONFIG=" + kubeconfig}
	out, err := w.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	errOut, err := w.command.StderrPipe()
	if err == nil {
		err = w.command.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	var both sync.WaitGroup
	for prefix, from := range map[string]io.Reader{"": out, onStderr: errOut} {
		both.Go(func() {
			for lines := bufio.NewScanner(from); lines.Scan(); {
				w.lines <- prefix + lines.Text()
			}
		})
	}
	go func() {
		both.Wait()
		close(w.lines)
	}()
	return w
}

// until reads on to a line that has the text, and returns what it has read.
func (w *watching) until(text string) string {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	var read []string
	for {
		select {
		case line, more := <-w.lines:
			if !more {
				w.t.Fatalf("it ended before %q:\n%s", text, strings.Join(read, "\n"))
			}
			read = append(read, line)
			if strings.Contains(line, text) {
				return strings.Join(read, "\n")
			}
		case <-ctx.Done():
			w.t.Fatalf("nothing has %q:\n%s", text, strings.Join(read, "\n"))
		}
	}
}

// end is Ctrl-C, which ends it well; it returns what was on stderr since the last line that was read.
func (w *watching) end() (errOut []string) {
	w.t.Helper()
	if err := w.command.Process.Signal(syscall.SIGINT); err != nil {
		w.t.Fatal(err)
	}
	for line := range w.lines {
		if text, is := strings.CutPrefix(line, onStderr); is {
			errOut = append(errOut, text)
		}
	}
	if err := w.command.Wait(); err != nil {
		w.t.Errorf("Ctrl-C: %v", err)
	}
	return errOut
}

// denial forbids what web asks of reviews.
const denial = `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: nobody, namespace: shop}
spec: {action: DENY, selector: {matchLabels: {app: reviews}}, rules: [{}]}
`

func TestWatchTellsWhatAChangeDoesToTheTrace(t *testing.T) {
	everywhere, inIstioSystem := rolesIn(t, rbacWatch)
	c := withShop(t, slices.Concat(everywhere.Rules, inIstioSystem.Rules)...)
	jane := asDocumented(t, c)
	bindAsDocumented(t, c, "Watching")
	await(t, c, "jane", oncall, attributes("watch", "services"), true)
	await(t, c, "jane", oncall, attributes("watch", "configmaps", "istio-system"), true)
	const request = "--from shop/deployment/web http://reviews:9080/reviews/1"
	w := watch(t, jane, request)
	w.until("Delivered")
	w.until("1 sidecar of shop/web")

	c.Apply(t, denial)
	w.until("AuthorizationPolicy shop/nobody (added)")
	w.until("Denied 403  by AuthorizationPolicy shop/nobody")

	// A ConfigMap that is none of the mesh's changes nothing: nothing is told of it.
	c.Apply(t, `{apiVersion: v1, kind: ConfigMap, metadata: {name: other, namespace: istio-system}, data: {a: b}}`)
	if err := c.Delete(t.Context(), denial); err != nil {
		t.Fatal(err)
	}
	if told := w.until("changed: "); !strings.Contains(told, "AuthorizationPolicy shop/nobody (deleted)") {
		t.Errorf("told:\n%s", told)
	}
	w.until("Delivered  by VirtualService shop/reviews")
	if errOut := w.end(); errOut != nil {
		t.Errorf("stderr: %q", errOut)
	}
}

func TestWatchOfWhatMayNotBeWatchedSaysSo(t *testing.T) {
	everywhere, inIstioSystem := rolesIn(t, rbacWatch)
	c := withShop(t, slices.Concat(everywhere.Rules, inIstioSystem.Rules)...)
	w := watch(t, asDocumented(t, c), "--from shop/deployment/web http://reviews:9080/reviews/1")
	w.until(onStderr + "warning: ")
	w.until("1 sidecar of shop/web")
	w.end()
}

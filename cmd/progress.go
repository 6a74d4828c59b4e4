package cmd

import (
	"io"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// progressAfter is how long a person waits before being told what for.
const progressAfter = 500 * time.Millisecond

// progress tells a terminal how much of a cluster has been read. It is safe for concurrent use.
type progress struct {
	errOut io.Writer
	due    *time.Timer

	mu      sync.Mutex
	objects int
	// bar is nil before it is due, and once the reading is done.
	bar  *progressbar.ProgressBar
	done bool
}

// startProgress tells of a reading that takes longer than that; errOut is nil where nobody sees it.
func startProgress(errOut io.Writer, after time.Duration) *progress {
	p := &progress{errOut: errOut}
	if errOut != nil {
		p.due = time.AfterFunc(after, p.show)
	}
	return p
}

// onTerminal is the writer if it is a terminal, else nil.
func onTerminal(w io.Writer) io.Writer {
	if file, ok := w.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		return w
	}
	return nil
}

func (p *progress) show() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done {
		return
	}
	p.bar = progressbar.NewOptions(-1,
		progressbar.OptionSetWriter(p.errOut), progressbar.OptionSetDescription("reading the cluster, objects:"),
		progressbar.OptionShowCount(), progressbar.OptionSetElapsedTime(false), progressbar.OptionClearOnFinish(),
		progressbar.OptionSpinnerType(9), progressbar.OptionThrottle(100*time.Millisecond),
	)
	_ = p.bar.Add(p.objects)
}

// Add tells of objects that were read.
func (p *progress) Add(objects int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.objects += objects
	if p.bar != nil {
		_ = p.bar.Add(objects)
	}
}

// Done takes the line away. A nil progress is that of files.
func (p *progress) Done() {
	if p == nil {
		return
	}
	if p.due != nil {
		p.due.Stop()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done = true
	if p.bar != nil {
		_ = p.bar.Finish()
		p.bar = nil
	}
}

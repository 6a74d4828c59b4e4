package cmd

import (
	"strings"
	"sync"
	"testing"
	"time"
)

// lockedBuffer is a terminal that several write to.
type lockedBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// TestProgressIsShownWhenItTakesLong shows what was read by then, and nothing before it is due.
func TestProgressIsShownWhenItTakesLong(t *testing.T) {
	var terminal lockedBuffer
	p := startProgress(&terminal, time.Hour)
	p.Add(500)
	if got := terminal.String(); got != "" {
		t.Errorf("before it is due: %q", got)
	}
	p.show()
	if got := terminal.String(); !strings.Contains(got, "reading the cluster") || !strings.Contains(got, "500") {
		t.Errorf("when it is due: %q", got)
	}
	p.Done()
	shown := terminal.String()
	p.Add(1)
	p.show()
	if got := terminal.String(); got != shown {
		t.Errorf("after the end: %q", strings.TrimPrefix(got, shown))
	}
}

// TestProgressIsForTerminals: what is no terminal gets no line, and needs none.
func TestProgressIsForTerminals(t *testing.T) {
	if w := onTerminal(&strings.Builder{}); w != nil {
		t.Errorf("a buffer is taken for a terminal")
	}
	p := startProgress(nil, 0)
	p.Add(1)
	p.Done()
	var none *progress
	none.Done()
}

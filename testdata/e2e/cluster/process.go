package cluster

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// process is a program that runs until it is stopped, and no longer than the test.
type process struct {
	command *exec.Cmd
	// log is the file with what it prints.
	log string
	// ended is closed when the program has.
	ended chan struct{}
}

// start runs a program. The kernel ends it with the test, even where the test is killed: the signal comes when the
// thread that started it ends, so that one goroutine keeps that thread.
func start(log, program string, args ...string) (*process, error) {
	file, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // the program has its own descriptor
	p := &process{command: exec.Command(program, args...), log: log, ended: make(chan struct{})}
	p.command.Stdout, p.command.Stderr = file, file
	p.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.command.Start()
		started <- err
		if err == nil {
			p.command.Wait() //nolint:errcheck // how it ended is in its log
		}
		close(p.ended)
	}()
	return p, <-started
}

// stop ends the program and waits until it has.
func (p *process) stop() {
	if p == nil || p.command.Process == nil {
		return
	}
	p.command.Process.Signal(syscall.SIGTERM) //nolint:errcheck // it may have ended
	select {
	case <-p.ended:
	case <-time.After(10 * time.Second):
		p.command.Process.Kill() //nolint:errcheck // as above
		<-p.ended
	}
}

// failure is an error with the last that the program printed.
func (p *process) failure(format string, args ...any) error {
	text, err := os.ReadFile(p.log)
	if err != nil {
		text = []byte(err.Error())
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return fmt.Errorf("%s; %s has printed:\n%s", fmt.Sprintf(format, args...), p.command.Path, strings.Join(lines[max(0, len(lines)-5):], "\n"))
}

// freePorts are ports on loopback that nothing listens on. Another program may take one before it is used.
func freePorts(n int) ([]int, error) {
	var out []int
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close() //nolint:errcheck // all are held until each has been found
		out = append(out, l.Addr().(*net.TCPAddr).Port)
	}
	return out, nil
}

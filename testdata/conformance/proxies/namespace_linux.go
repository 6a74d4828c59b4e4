package proxies

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// enclosed is set in the environment of a process with a network of its own.
const enclosed = "MESH_TRACE_ENCLOSED"

// Inside reports whether this process has a network of its own.
func Inside() bool { return os.Getenv(enclosed) != "" }

// Enclose gives a command that is not yet started a network of its own, with which it begins by calling Prepare. Where a
// user may not have one, the command does not start.
func Enclose(c *exec.Cmd) {
	c.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	c.Env = append(os.Environ(), enclosed+"=1")
}

// Enclosable is nil where a process may have a network of its own.
func Enclosable() error {
	c := exec.Command("ip", "link", "set", "lo", "up")
	Enclose(c)
	if output, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("no network namespace of one's own (ip link set lo up): %w %s; users may have none where the sysctl "+
			"kernel.apparmor_restrict_unprivileged_userns is 1, or user.max_user_namespaces 0", err, output)
	}
	return nil
}

// Prepare makes every address one of this machine.
func Prepare() error {
	for _, args := range [][]string{
		{"link", "set", "lo", "up"},
		{"route", "add", "local", "0.0.0.0/0", "dev", "lo"},
		{"-6", "route", "add", "local", "::/0", "dev", "lo"},
	} {
		if output, err := exec.Command("ip", args...).CombinedOutput(); err != nil && args[0] != "-6" { // not every kernel has IPv6
			return fmt.Errorf("ip %v: %w %s", args, err, output)
		}
	}
	return nil
}

// mortal has a command end when this process does.
func mortal(c *exec.Cmd) { c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

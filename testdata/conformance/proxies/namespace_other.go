//go:build !linux

package proxies

import (
	"errors"
	"os/exec"
)

// Inside reports whether this process has a network of its own.
func Inside() bool { return false }

// Enclose does nothing here.
func Enclose(*exec.Cmd) {}

// Enclosable says why a process may not have a network of its own.
func Enclosable() error { return errors.New("network namespaces are Linux's") }

// Prepare says the same.
func Prepare() error { return Enclosable() }

func mortal(*exec.Cmd) {}

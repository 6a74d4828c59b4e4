package cmd

import (
	"context"
	"slices"
	"strings"

	"github.com/mesh-trace/kubectl-mesh-trace/cmd/diff"
	"github.com/mesh-trace/kubectl-mesh-trace/cmd/load"
	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// sides are the two meshes to compare. Where the one before is read apart, after is not nil; else the overlay of before
// makes the one after.
type sides struct {
	before, after *meshOptions
	base          []string
	namespace     string
	// changed tells of the objects that are not the same on both sides, once they were loaded.
	changed func(resolve.Ref) bool
}

// sidesOf finds out which two sides were meant; see diffLong.
func sidesOf(mesh *meshOptions, base []string) sides {
	before := *mesh
	switch {
	case len(base) > 0:
		before.filenames, before.kustomize, before.overlays, before.offline = base, "", nil, true
		return sides{before: &before, after: mesh, base: base}
	case len(mesh.overlays) == 0 && mesh.offline:
		before.overlays, before.overlayKustomize = mesh.filenames, mesh.kustomize
		before.filenames, before.kustomize, before.offline = nil, "", false
	}
	return sides{before: &before}
}

// Validate refuses sides that are one.
func (s *sides) Validate() error {
	switch {
	case s.after != nil && !s.after.offline && len(s.after.overlays) == 0:
		return usagef("--base needs the manifests after the change: --filename (-f) or --kustomize (-k)")
	case s.after != nil && slices.Contains(s.base, "-") && slices.Contains(slices.Concat(s.after.filenames, s.after.overlays), "-"):
		return usagef("- is given twice; stdin can be read once")
	case s.after == nil && !s.before.laysOver():
		return usagef("nothing to compare: expected --filename (-f) with what is to be applied over the cluster, --overlay, or --base and --filename")
	}
	if s.after != nil {
		if !s.after.offline { // the overlay is over the base
			s.after.filenames, s.after.offline = s.base, true
		}
		return s.after.Validate()
	}
	return s.before.Validate()
}

// Load reads both sides.
func (s *sides) Load(ctx context.Context) (before, after diff.Mesh, err error) {
	if s.namespace, err = s.before.Namespace(); err != nil {
		return before, after, err
	}
	var first, second resolve.Input
	if s.after == nil {
		first, second, err = s.before.InputAndOverlaid(ctx)
	} else if first, err = s.before.Input(ctx); err == nil {
		second, err = s.after.Input(ctx)
	}
	if err != nil {
		return before, after, err
	}
	s.changed = diff.ChangedObjects(first, second)
	before.Snapshot, after.Snapshot = resolve.NewSnapshot(first), resolve.NewSnapshot(second)
	if s.after == nil {
		before.Flags, after.Flags = s.before.sourceFlags(false), s.before.sourceFlags(true)
	} else {
		before.Flags, after.Flags = s.before.sourceFlags(false), s.after.sourceFlags(true)
	}
	before.Name, after.Name = sideName(before.Flags), sideName(after.Flags)
	return before, after, nil
}

// sideName says what the flags read.
func sideName(flags []string) string {
	text := strings.Join(flags, " ")
	if len(flags) == 0 || flags[0] == "--overlay" {
		text = strings.TrimSpace("the cluster " + text)
	}
	return text
}

// done ends the progress of a cluster being read.
func (s *sides) done() {
	s.before.progress.Done()
	if s.after != nil {
		s.after.progress.Done()
	}
}

// InputAndOverlaid reads the resources once, and lays the overlays over them.
func (o *meshOptions) InputAndOverlaid(ctx context.Context) (plain, overlaid resolve.Input, err error) {
	without := *o
	without.overlays, without.overlayKustomize, without.laidOverLater = nil, "", true
	plain, err = without.Input(ctx)
	o.progress = without.progress
	if err != nil {
		return plain, overlaid, err
	}
	plain.Deferred = load.Remembered(plain.Deferred)
	for i, r := range plain.Remotes {
		plain.Remotes[i].Deferred = load.Remembered(r.Deferred)
	}
	overlaid = plain
	return plain, overlaid, o.settle(&overlaid)
}

// sourceFlags are the flags that read the same again, as far as they name files, a context or a release.
func (o *meshOptions) sourceFlags(overlaid bool) []string {
	var flags []string
	add := func(flag string, values ...string) {
		for _, v := range values {
			if v != "" {
				flags = append(flags, flag, v)
			}
		}
	}
	add("-f", o.filenames...)
	add("-k", o.kustomize)
	add("--remote", o.remotes...)
	if overlaid {
		add("--overlay", o.overlays...)
	}
	if o.recursive {
		flags = append(flags, "-R")
	}
	if !o.offline {
		add("--context", *o.config.Context)
		for _, remote := range o.remoteContexts {
			add(remote.flag, remote.text)
		}
	}
	add("--mesh-config", o.meshConfig)
	add("--mesh-networks", o.meshNetworks)
	add("--revision", o.revision)
	return flags
}

//go:build integ

package integration

import (
	meshconfig "istio.io/api/mesh/v1alpha1"
	"istio.io/istio/pkg/config/mesh"
	"istio.io/istio/pkg/test"
	"istio.io/istio/pkg/test/framework/resource"
	"istio.io/istio/pkg/test/framework/resource/config/cleanup"
	"istio.io/istio/pkg/util/protomarshal"
)

// MeshConfig is the one of the install.
func (i *install) MeshConfig() (*meshconfig.MeshConfig, error) {
	return mesh.ApplyMeshConfig(i.meshConfig, mesh.DefaultMeshConfig())
}

// MeshConfigOrFail is MeshConfig.
func (i *install) MeshConfigOrFail(t test.Failer) *meshconfig.MeshConfig {
	m, err := i.MeshConfig()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// UpdateMeshConfig changes what the install sets, until the test ends.
func (i *install) UpdateMeshConfig(ctx resource.Context, change func(*meshconfig.MeshConfig) error, s cleanup.Strategy) error {
	m, was := &meshconfig.MeshConfig{}, i.meshConfig
	if err := protomarshal.ApplyYAML(was, m); err != nil {
		return err
	}
	if err := change(m); err != nil {
		return err
	}
	text, err := protomarshal.ToYAML(m)
	if err != nil {
		return err
	}
	i.meshConfig = text
	ctx.CleanupStrategy(s, func() { i.meshConfig = was })
	return nil
}

// UpdateMeshConfigOrFail is UpdateMeshConfig.
func (i *install) UpdateMeshConfigOrFail(t resource.ContextFailer, change func(*meshconfig.MeshConfig) error, s cleanup.Strategy) {
	t.Helper()
	if err := i.UpdateMeshConfig(t, change, s); err != nil {
		t.Fatal(err)
	}
}

// PatchMeshConfig adds to what the install sets, until the test ends.
func (i *install) PatchMeshConfig(ctx resource.Context, patch string) error {
	return i.UpdateMeshConfig(ctx, func(m *meshconfig.MeshConfig) error { return protomarshal.ApplyYAML(patch, m) }, cleanup.Always)
}

// PatchMeshConfigOrFail is PatchMeshConfig.
func (i *install) PatchMeshConfigOrFail(t resource.ContextFailer, patch string) {
	t.Helper()
	if err := i.PatchMeshConfig(t, patch); err != nil {
		t.Fatal(err)
	}
}

package load

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"istio.io/api/label"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

const (
	defaultIstioNamespace = "istio-system"
	defaultRevision       = "default"
	// meshConfigKey is the ConfigMap's entry istiod reads (pkg/config/mesh/kubemesh, MeshConfigKey).
	meshConfigKey = "mesh"
	// sharedMeshConfig is the variable that names a second ConfigMap (pilot/pkg/features, SharedMeshConfig).
	sharedMeshConfig = "SHARED_MESH_CONFIG"
)

// istiod is one control plane as its Deployment, or else its Pod, shows it.
type istiod struct {
	ref       resolve.Ref
	namespace string
	revision  string
	// release is "1.31"; empty where neither image nor labels tell.
	release string
	// sets are the names of its variables that have no default value, clusterID the value of CLUSTER_ID.
	sets      []string
	clusterID string
	// sharedConfig is the ConfigMap that istiod lays under its own mesh config; empty for most.
	sharedConfig string
}

// readControlPlane fills in what the control plane decides.
//
//  1. The namespace of istiod: the one asked for, else the only one in which istiod runs, else istio-system.
//  2. The revision: the one asked for, else the only one there, else the one behind the tag "default", else
//     "default".
//  3. The release: the one asked for, else that of the revision's istiod.
//  4. The mesh config of the revision.
//
// Source: manifests/charts/istio-control/istio-discovery (labels of istiod), manifests/charts/default (the tag).
func readControlPlane(ctx context.Context, configMaps configMapGetter, opts ClusterOptions, all []istiod, noIstio bool, in *resolve.Input) error {
	namespace := chooseNamespace(opts.IstioNamespace, all)
	here := slices.DeleteFunc(slices.Clone(all), func(i istiod) bool { return i.namespace != namespace })
	if len(here) == 0 && len(all) > 0 {
		in.Notes = append(in.Notes, resolve.Note{Ref: all[0].ref, Message: fmt.Sprintf(
			"no istiod runs in namespace %s; one runs in %s: name it with --istio-namespace", namespace, all[0].namespace)})
	}
	var note string
	in.Revision, note = chooseRevision(opts.Revision, here, in.Resources)
	if note != "" {
		in.Notes = append(in.Notes, resolve.Note{Message: note})
	}
	followed, found := istiodOf(here, in.Revision)
	switch {
	case opts.IstioVersion != "":
		in.IstioVersion, in.IstioVersionFrom = opts.IstioVersion, "flag"
	case followed.release != "":
		in.IstioVersion, in.IstioVersionFrom = followed.release, "cluster"
	}
	if found && followed.sharedConfig != "" {
		in.Notes = append(in.Notes, resolve.Note{Ref: followed.ref, Message: fmt.Sprintf(
			"istiod also reads the mesh config of ConfigMap %s/%s (%s), which is not taken into account", namespace, followed.sharedConfig, sharedMeshConfig)})
	}
	return readMeshConfigMap(ctx, configMaps, namespace, noIstio && len(all) == 0, in)
}

func istioNamespaceOr(namespace string) string { return cmp.Or(namespace, defaultIstioNamespace) }

func chooseNamespace(wanted string, found []istiod) string {
	if wanted == "" && len(found) > 0 &&
		!slices.ContainsFunc(found, func(i istiod) bool { return i.namespace != found[0].namespace }) {
		return found[0].namespace
	}
	return istioNamespaceOr(wanted)
}

// chooseRevision returns the revision to follow and what is to be said about the choice.
func chooseRevision(wanted string, found []istiod, resources []resolve.Sourced) (revision, note string) {
	if wanted != "" {
		if _, ok := istiodOf(found, wanted); !ok && len(found) > 0 {
			note = fmt.Sprintf("no istiod of revision %s runs; there are: %s", wanted, strings.Join(revisionsOf(found), ", "))
		}
		return wanted, note
	}
	revisions := revisionsOf(found)
	if len(revisions) == 1 {
		return revisions[0], ""
	}
	tagged, ok := defaultTag(resources)
	switch {
	case ok && len(revisions) == 0:
		return tagged, ""
	case ok:
		return tagged, fmt.Sprintf("several control planes run (%s); %s is followed, which the tag default names", strings.Join(revisions, ", "), tagged)
	case len(revisions) == 0:
		return defaultRevision, ""
	}
	return defaultRevision, fmt.Sprintf("several control planes run (%s) and no tag names the default: revision default is followed; name another with --revision", strings.Join(revisions, ", "))
}

// revisionsOf are the revisions of one namespace's control planes, in their order.
func revisionsOf(found []istiod) []string {
	var out []string
	for _, i := range found {
		out = append(out, i.revision)
	}
	return out
}

// defaultTag is the revision behind the tag "default".
func defaultTag(resources []resolve.Sourced) (string, bool) {
	for _, r := range resources {
		webhook, ok := r.Object.(*admissionv1.MutatingWebhookConfiguration)
		if !ok || webhook.Labels[label.IoIstioRev.Name] == "" {
			continue
		}
		if webhook.Labels["istio.io/tag"] == defaultRevision || webhook.Name == "istio-revision-tag-default" {
			return webhook.Labels[label.IoIstioRev.Name], true
		}
	}
	return "", false
}

// istiodsOf are the control planes of the cluster: a Deployment for each
// namespace and revision, or a Pod where the Deployments are not known.
// Sorted by namespace and revision.
func istiodsOf(resources []resolve.Sourced) []istiod {
	var out []istiod
	add := func(i istiod) {
		same := slices.IndexFunc(out, func(o istiod) bool { return o.namespace == i.namespace && o.revision == i.revision })
		if same < 0 {
			out = append(out, i)
			return
		}
		out[same].sets = append(out[same].sets, i.sets...)
	}
	for _, r := range resources {
		if d, ok := r.Object.(*appsv1.Deployment); ok && d.Labels["app"] == "istiod" {
			add(istiodFrom(r, d.Spec.Template.Spec))
		}
	}
	for _, r := range resources {
		if p, ok := r.Object.(*corev1.Pod); ok && p.Labels["app"] == "istiod" {
			add(istiodFrom(r, p.Spec))
		}
	}
	slices.SortStableFunc(out, func(a, b istiod) int {
		return cmp.Or(cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.revision, b.revision))
	})
	return out
}

func istiodOf(found []istiod, revision string) (istiod, bool) {
	i := slices.IndexFunc(found, func(i istiod) bool { return i.revision == revision })
	if i < 0 {
		return istiod{}, false
	}
	return found[i], true
}

func istiodFrom(r resolve.Sourced, spec corev1.PodSpec) istiod {
	labels := r.Object.GetLabels()
	out := istiod{
		ref: resolve.Ref{
			Group: r.GroupKind.Group, Kind: r.GroupKind.Kind, Namespace: r.Object.GetNamespace(), Name: r.Object.GetName(),
		},
		namespace: r.Object.GetNamespace(),
		revision:  cmp.Or(labels[label.IoIstioRev.Name], defaultRevision),
	}
	for _, c := range spec.Containers {
		if c.Name != "discovery" {
			continue
		}
		out.release = releaseOf(imageTag(c.Image))
		for _, e := range c.Env {
			if !resolve.IsIstiodDefault(e.Name, e.Value) {
				out.sets = append(out.sets, e.Name)
			}
			if e.Name == "CLUSTER_ID" {
				out.clusterID = e.Value
			}
			if e.Name == sharedMeshConfig {
				out.sharedConfig = e.Value
			}
		}
	}
	out.release = cmp.Or(out.release, releaseOf(labels["app.kubernetes.io/version"]),
		releaseOf(strings.TrimPrefix(labels["helm.sh/chart"], "istiod-")), releaseOf(labels["version"]))
	return out
}

// imageTag is the tag of an image reference; empty where there is only a digest.
func imageTag(image string) string {
	image, _, _ = strings.Cut(image, "@")
	name := image[strings.LastIndex(image, "/")+1:]
	_, tag, _ := strings.Cut(name, ":")
	return tag
}

var releasePattern = regexp.MustCompile(`^v?(\d+\.\d+)([.\-+_]|$)`)

// releaseOf is the "1.31" at the head of a version; empty for words such as "latest".
func releaseOf(version string) string {
	if m := releasePattern.FindStringSubmatch(version); m != nil {
		return m[1]
	}
	return ""
}

// readMeshConfigMap reads the ConfigMap that istiod of the revision reads. What
// is missing or may not be read leaves Istio's defaults, and says so.
// Source: pilot/pkg/bootstrap/mesh.go, getMeshConfigMapName and getConfigurationSources.
func readMeshConfigMap(ctx context.Context, configMaps configMapGetter, namespace string, notInstalled bool, in *resolve.Input) error {
	ref := resolve.Ref{Kind: "ConfigMap", Namespace: namespace, Name: meshConfigMapName(in.Revision)}
	configMap, err := configMaps.configMap(ctx, ref.Namespace, ref.Name)
	switch {
	case err != nil && ctx.Err() != nil, apierrors.IsUnauthorized(err):
		return err
	case apierrors.IsNotFound(err):
		if !notInstalled {
			in.Notes = append(in.Notes, resolve.Note{Ref: ref, Message: fmt.Sprintf("%s does not exist: Istio's default mesh config is assumed", ref)})
		}
		return nil
	case err != nil:
		reason := resolve.GapFailed
		if apierrors.IsForbidden(err) {
			reason = resolve.GapForbidden
		}
		in.Gaps = append(in.Gaps, meshConfigGap(ref, reason, err))
		return nil
	}
	readNetworks(configMap.Data[meshNetworksKey], ref, in)
	text, ok := configMap.Data[meshConfigKey]
	if !ok {
		in.Notes = append(in.Notes, resolve.Note{Ref: ref, Message: fmt.Sprintf("%s has no entry %q: Istio's default mesh config is assumed", ref, meshConfigKey)})
		return nil
	}
	config, warnings, err := MeshConfig([]byte(text), ref.String())
	if err != nil {
		in.Gaps = append(in.Gaps, meshConfigGap(ref, resolve.GapUnreadable, err))
		return nil
	}
	for _, w := range warnings {
		in.Notes = append(in.Notes, resolve.Note{Ref: ref, Message: w})
	}
	in.MeshConfig, in.MeshConfigRef, in.MeshOrigin = config, ref.At("data."+meshConfigKey), clusterOrigin{}
	return nil
}

// readNetworks reads the networks of the mesh from the ConfigMap. Where there is a mistake in them, istiod goes without.
func readNetworks(text string, ref resolve.Ref, in *resolve.Input) {
	networks, warnings, err := MeshNetworks([]byte(text), ref.String())
	if err != nil {
		warnings = []string{oneLine(err) + "; istiod takes none of the networks"}
	}
	for _, w := range warnings {
		in.Notes = append(in.Notes, resolve.Note{Ref: ref, Message: "data." + meshNetworksKey + ": " + w})
	}
	if networks != nil {
		in.MeshNetworks, in.MeshNetworksRef, in.MeshNetworksOrigin = networks, ref.At("data."+meshNetworksKey), clusterOrigin{}
	}
}

func meshConfigGap(ref resolve.Ref, reason resolve.GapReason, err error) resolve.Gap {
	return resolve.Gap{
		GroupKind: schema.GroupKind{Kind: ref.Kind}, Namespace: ref.Namespace, Name: ref.Name,
		Reason: reason, Detail: oneLine(err) + "; Istio's default mesh config is assumed",
	}
}

// meshConfigMapName is the ConfigMap of a revision's mesh config.
func meshConfigMapName(revision string) string {
	if revision == "" || revision == defaultRevision {
		return "istio"
	}
	return "istio-" + revision
}

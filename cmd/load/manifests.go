package load

import (
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// ManifestOptions say which manifests to read.
type ManifestOptions struct {
	// Paths are files, directories, patterns, http(s) addresses, or "-" for Stdin.
	Paths []string
	// Recursive reads the directories below a directory, too.
	Recursive bool
	// Kustomize is a directory with a kustomization to build; empty for none.
	Kustomize string
	// Stdin is what "-" reads.
	Stdin io.Reader
	// DefaultNamespace is the namespace of resources that name none; "default" if empty.
	DefaultNamespace string
	// Remotes are the manifests of the remote clusters of the mesh.
	Remotes []RemoteManifests
	// Defer hands over what runs in the namespaces (resolve.RunningKinds) as Input.Deferred. It is read and
	// checked like all else, but not kept; that of a namespace is decoded again when it is asked for.
	Defer bool
	// Overlay reads what would be applied over a mesh; ReadOverlay sets it.
	Overlay bool
}

// Manifests reads manifests.
//
//  1. Sources are read in the order given (source.go) and cut into documents (document.go).
//  2. Documents are parsed and decoded in parallel, each once (resource.go, decode.go), and so are the items of lists.
//  3. Of resources with the same kind, namespace and name the last one stands, as
//     after kubectl apply, with a note that names both places.
//  4. The mesh config is that of the ConfigMap istio, if there is one.
//  5. The document of a snapshot (snapshot.go) has the word on all that is no resource.
//
// If anything is wrong, the error is [Problems] with every mistake of every
// document. The Input then still has what is good, and a Gap for each resource
// that is not; whether that is enough is the caller's to decide.
func Manifests(opts ManifestOptions) (resolve.Input, error) {
	if opts.DefaultNamespace == "" {
		opts.DefaultNamespace = "default"
	}
	in, problems := readManifests(opts, "")
	for _, remote := range opts.Remotes {
		one := opts
		one.Paths, one.Kustomize, one.Defer = remote.Paths, "", false
		more, found := readManifests(one, remote.Cluster)
		joinRemote(&in, more, remote.Cluster)
		problems = append(problems, found...)
	}
	if len(problems) > 0 {
		return in, problems.sorted()
	}
	return in, nil
}

// readManifests reads those of one cluster; the id of the first one is empty.
func readManifests(opts ManifestOptions, cluster string) (resolve.Input, Problems) {
	r := reader{opts: opts, cluster: cluster}
	for _, path := range opts.Paths {
		r.read(path)
	}
	var docs []document
	for _, t := range r.texts {
		docs = append(docs, split(t.source, t.data)...)
	}
	if opts.Kustomize != "" {
		docs = append(docs, r.kustomize(opts.Kustomize)...)
	}
	results, broken := readDocuments(docs, opts, cluster)
	if len(broken) > 0 {
		docs = rejoined(docs, broken)
		results, _ = readDocuments(docs, opts, cluster)
	}
	forgetLists(docs)
	in := assemble(results, &r)
	if len(docs) == 0 && len(r.problems) == 0 {
		r.empty()
	}
	return in, r.problems
}

// empty reports sources that have no document at all: a trace on nothing answers nothing, and
// most often the command before the pipe has failed.
func (r *reader) empty() {
	for _, t := range r.texts {
		r.fail(t.name, "there is nothing in it")
	}
}

// chunkSize is how many documents a goroutine takes at a time.
const chunkSize = 256

// readDocuments reads the documents, a chunk at a time, on as many goroutines as
// there are processors; the results are in the documents' order. Lists that are broken can only be read whole.
func readDocuments(docs []document, opts ManifestOptions, cluster string) (results []result, broken map[*cutList]bool) {
	results = make([]result, (len(docs)+chunkSize-1)/chunkSize)
	var taken atomic.Int64
	var group errgroup.Group
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() error {
			r := documentReader{namespace: opts.DefaultNamespace, cluster: cluster, deferring: opts.Defer, overlay: opts.Overlay}
			for {
				chunk := int(taken.Add(1)) - 1
				if chunk >= len(results) {
					return nil
				}
				r.result = result{}
				for i := chunk * chunkSize; i < min(len(docs), (chunk+1)*chunkSize); i++ {
					r.read(&docs[i])
				}
				results[chunk] = r.result
			}
		})
	}
	_ = group.Wait() // no worker fails: problems are results
	for _, r := range results {
		for _, list := range r.broken {
			if broken == nil {
				broken = map[*cutList]bool{}
			}
			broken[list] = true
		}
	}
	return results, broken
}

// assemble joins the results of all documents.
func assemble(results []result, r *reader) resolve.Input {
	in := resolve.Input{Offline: true, Revision: "default"}
	for _, message := range r.notes {
		in.Notes = append(in.Notes, resolve.Note{Message: message})
	}
	n := 0
	for _, result := range results {
		n += len(result.resources)
	}
	place := make(map[resolve.Ref]int, n)
	all := make([]manifest, 0, n)
	var meshes []meshConfigMap
	var snapshots []snapshotDocument
	var notes []documentNote
	for _, result := range results {
		for _, s := range result.resources {
			first, again := place[s.ref]
			if !again || s.ref.Name == "" {
				place[s.ref] = len(all)
				all = append(all, s)
				continue
			}
			in.Notes = append(in.Notes, duplicate(s.ref, all[first].origin(), s.origin()))
			all[first] = s
		}
		meshes = append(meshes, result.meshes...)
		snapshots = append(snapshots, result.snapshots...)
		notes = append(notes, result.notes...)
		in.Gaps = append(in.Gaps, result.gaps...)
		r.problems = append(r.problems, result.problems...)
	}
	handOver(&in, all, r.opts)
	r.problems = onceHelm(r.problems)
	addMeshConfig(&in, meshes)
	restoreSnapshot(&in, snapshots, notes, r)
	return in
}

func duplicate(ref resolve.Ref, before, after resolve.Origin) resolve.Note {
	return resolve.Note{Ref: ref, Message: fmt.Sprintf(
		"defined twice, at %s and %s; the latter stands, as after kubectl apply", before.Locate(""), after.Locate(""))}
}

// addMeshConfig takes the mesh config of the ConfigMap that is followed.
func addMeshConfig(in *resolve.Input, meshes []meshConfigMap) {
	last := map[resolve.Ref]int{}
	var distinct []meshConfigMap
	for _, m := range meshes {
		if i, again := last[m.ref()]; again {
			in.Notes = append(in.Notes, duplicate(m.ref(), distinct[i].origin, m.origin))
			distinct[i] = m
			continue
		}
		last[m.ref()] = len(distinct)
		distinct = append(distinct, m)
	}
	if len(distinct) == 0 {
		return
	}
	chosen, others := chooseMeshConfig(distinct)
	in.MeshConfig, in.MeshConfigRef, in.MeshOrigin = chosen.config, chosen.ref(), chosen.origin
	if chosen.networks != nil {
		in.MeshNetworks, in.MeshNetworksRef = chosen.networks, chosen.ref().At("data."+meshNetworksKey)
	}
	for _, w := range chosen.warnings {
		in.Notes = append(in.Notes, resolve.Note{Ref: chosen.ref(), Message: w})
	}
	for _, o := range others {
		in.Notes = append(in.Notes, resolve.Note{Ref: o.ref(), Message: "not followed: the mesh config is that of " + chosen.ref().String()})
	}
}

// onceHelm keeps, of a file with Helm templates, that one problem: all others follow from it.
func onceHelm(problems Problems) Problems {
	helm := map[string]Problem{}
	for _, p := range problems {
		if _, seen := helm[p.File]; !seen && p.helm {
			helm[p.File] = p
		}
	}
	return slices.DeleteFunc(problems, func(p Problem) bool {
		first, templated := helm[p.File]
		return templated && p != first
	})
}

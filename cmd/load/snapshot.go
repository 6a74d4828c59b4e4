package load

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	meshconfig "istio.io/api/mesh/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// A snapshot (`kubectl mesh-trace snapshot`) is a set of manifests with a document of kind Snapshot before them, which has
// what a trace reads and what is no object. Read with -f it takes the place of what was found when it was written:
//
//  1. Whether that was a cluster: nothing is then assumed of what an API server would have filled in.
//  2. The release, the revision and the mesh config that were followed.
//  3. What could not be read, and what was said about what was read: the loader adds no remark of its own about the
//     snapshot's own documents.
//  4. What the cluster said of Secrets and of ConfigMaps that were asked for. Of one that was not, nothing is known.
//
// A ConfigMap's certificates are not in it; whether they could be read is, and of root certificates the digests.

// SnapshotAPIVersion and SnapshotKind are what the document is known by.
const (
	SnapshotAPIVersion = "meshtrace.dev/v1alpha1"
	SnapshotKind       = "Snapshot"
)

// SnapshotSource is where the objects of a snapshot were read from.
type SnapshotSource string

// The closed list.
const (
	FromCluster SnapshotSource = "cluster"
	FromFiles   SnapshotSource = "files"
)

// SnapshotDocument is the first document of a snapshot.
type SnapshotDocument struct {
	metav1.TypeMeta `json:",inline"`
	// WrittenBy is the version of this program.
	WrittenBy string         `json:"writtenBy,omitempty"`
	Source    SnapshotSource `json:"source"`
	// Remarks are for the person who reads it.
	Remarks []string `json:"remarks,omitempty"`
	// Requests are what was traced.
	Requests []SnapshotRequest `json:"requests,omitempty"`
	Istio    SnapshotIstio     `json:"istio"`
	// Remotes are the ids of the remote clusters that were read. Their objects are annotated mesh-trace/cluster.
	Remotes []string `json:"remotes,omitempty"`
	// MeshConfig is nil for Istio's defaults.
	MeshConfig *SnapshotMeshConfig `json:"meshConfig,omitempty"`
	// MeshNetworks are nil for none.
	MeshNetworks *SnapshotMeshConfig `json:"meshNetworks,omitempty"`
	Gaps         []SnapshotGap       `json:"gaps,omitempty"`
	Notes        []SnapshotNote      `json:"notes,omitempty"`
	// Running is what could not be read of what runs in the mesh, where it was asked for.
	Running    SnapshotRunning  `json:"running,omitzero"`
	Secrets    []SnapshotAnswer `json:"secrets,omitempty"`
	ConfigMaps []SnapshotAnswer `json:"configMaps,omitempty"`
}

// SnapshotRequest is one request, as flags write it.
type SnapshotRequest struct {
	// Command traces it again; FILE in it stands for the snapshot.
	Command string `json:"command"`
	URL     string `json:"url"`
	// Namespace is that of short hosts and of sources without one.
	Namespace  string   `json:"namespace,omitempty"`
	From       string   `json:"from,omitempty"`
	Gateway    string   `json:"gateway,omitempty"`
	Method     string   `json:"method,omitempty"`
	Headers    []string `json:"headers,omitempty"`
	SourceIP   string   `json:"sourceIP,omitempty"`
	SNI        string   `json:"sni,omitempty"`
	ClientCert string   `json:"clientCert,omitempty"`
	Claims     []string `json:"claims,omitempty"`
	// JWT is a token without signature, where its claims can not be written one by one.
	JWT string `json:"jwt,omitempty"`
}

// SnapshotIstio is the control plane that was followed.
type SnapshotIstio struct {
	// Version is empty, with From, where it is not known.
	Version  string `json:"version,omitempty"`
	From     string `json:"from,omitempty"`
	Revision string `json:"revision"`
}

// SnapshotRef names an object, or a field of it.
type SnapshotRef struct {
	Cluster   string `json:"cluster,omitempty"`
	Group     string `json:"group,omitempty"`
	Kind      string `json:"kind,omitempty"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name,omitempty"`
	Field     string `json:"field,omitempty"`
}

// SnapshotMeshConfig is the mesh config, or the networks of the mesh, and what it was read from.
type SnapshotMeshConfig struct {
	From SnapshotRef `json:"from"`
	// Config is the YAML of a MeshConfig, or of MeshNetworks.
	Config string `json:"config"`
}

// SnapshotGap is something that could not be read.
type SnapshotGap struct {
	SnapshotRef `json:",inline"`
	Except      []string `json:"except,omitempty"`
	Reason      string   `json:"reason"`
	Detail      string   `json:"detail,omitempty"`
}

// NewSnapshotGap is the form of a Gap in a snapshot.
func NewSnapshotGap(g resolve.Gap) SnapshotGap {
	ref := SnapshotRef{Cluster: g.Cluster, Group: g.GroupKind.Group, Kind: g.GroupKind.Kind, Namespace: g.Namespace, Name: g.Name}
	return SnapshotGap{SnapshotRef: ref, Except: g.Except, Reason: string(g.Reason), Detail: g.Detail}
}

func (g SnapshotGap) gap() resolve.Gap {
	return resolve.Gap{
		GroupKind: schema.GroupKind{Group: g.Group, Kind: g.Kind}, Namespace: g.Namespace, Except: g.Except, Name: g.Name, Cluster: g.Cluster,
		Reason: resolve.GapReason(g.Reason), Detail: g.Detail,
	}
}

var gapReasons = []string{string(resolve.GapForbidden), string(resolve.GapFailed), string(resolve.GapUnreadable)}

// SnapshotNote is a remark of the loader.
type SnapshotNote struct {
	SnapshotRef `json:",inline"`
	Message     string `json:"message"`
}

// The states of a Secret or ConfigMap that was asked for.
const (
	AnswerFound  = "found"
	AnswerAbsent = "absent"
	// AnswerForbidden and AnswerFailed are a question that was not answered.
	AnswerForbidden = string(resolve.GapForbidden)
	AnswerFailed    = string(resolve.GapFailed)
)

// What a ConfigMap holds under the keys of an authority.
const (
	AuthorityCertificate = "certificate"
	AuthorityMalformed   = "malformed"
	AuthorityNone        = "none"
)

// SnapshotAnswer is what a cluster said of one Secret or ConfigMap.
type SnapshotAnswer struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// State is found, absent, forbidden or failed.
	State string `json:"state"`
	// Detail is why it was not answered.
	Detail string `json:"detail,omitempty"`
	// Type is a Secret's.
	Type string `json:"type,omitempty"`
	// Authority is what a ConfigMap holds: certificate, malformed or none.
	Authority string `json:"authority,omitempty"`
	// Roots are the digests of the root certificates that a ConfigMap holds.
	Roots []string `json:"roots,omitempty"`
}

// AuthorityPlaceholders stand for the texts that ConfigMaps hold under the keys of an authority: of the certificate itself
// a trace reads no more than that it is one.
var AuthorityPlaceholders = map[string]string{
	AuthorityCertificate: placeholderCertificate,
	AuthorityMalformed:   "no certificate",
	AuthorityNone:        "",
}

// placeholderCertificate is a self-signed certificate of CN=placeholder; its key was never kept.
const placeholderCertificate = `-----BEGIN CERTIFICATE-----
MIIBgzCCASmgAwIBAgIUdNaIKxRhVEFM8T3BaOpXLY4vGgMwCgYIKoZIzj0EAwIw
FjEUMBIGA1UEAwwLcGxhY2Vob2xkZXIwIBcNMjYxMTIzMDkxNDQ3WhgPMjEyNjEw
MzAwOTE0NDdaMBYxFDASBgNVBAMMC3BsYWNlaG9sZGVyMFkwEwYHKoZIzj0CAQYI
KoZIzj0DAQcDQgAEWmFSU/EMjr2nr7zE05mKBAcVbxCgQ9tEMnFOf23rTUkkhYO3
zrkCwzHT8EpKG4GTatroT4ySYb/OC2A/XiK/R6NTMFEwHQYDVR0OBBYEFFfhTRZR
EmlDOhFyUTa22aCs71wOMB8GA1UdIwQYMBaAFFfhTRZREmlDOhFyUTa22aCs71wO
MA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIgSRorHolTnGMA722m
yAUT/89eloKudj3/6QeW1IwYzxoCIQDIvcenpaf4DVaTsiZv8X4LBsSdsNCg+kSL
EE0VhaCTMQ==
-----END CERTIFICATE-----
`

// snapshotDocument is a Snapshot as it was read.
type snapshotDocument struct {
	SnapshotDocument
	doc  *document
	line int
	// config is MeshConfig.Config, read, and configLine where it stands; networks are MeshNetworks.Config.
	config     *meshconfig.MeshConfig
	configLine int
	networks   *meshconfig.MeshNetworks
}

func isSnapshot(h header) bool { return h.apiVersion == SnapshotAPIVersion && h.kind == SnapshotKind }

// snapshot reads the document of a snapshot.
func (r *documentReader) snapshot(n *yaml.Node, h header) {
	s := snapshotDocument{doc: r.doc, line: r.doc.at(n)}
	d := &r.decoder
	d.start(r.doc, h)
	d.decode(n, &s.SnapshotDocument)
	r.problems = append(r.problems, d.problems...)
	if len(d.problems) > 0 {
		return
	}
	if field, message := s.wrong(); message != "" {
		where := n
		for _, step := range fieldSteps(field) {
			if next, at := stepDown(where, step); at != nil {
				where = next
			}
		}
		r.fail(where, h, field, "%s", message)
		return
	}
	if s.MeshConfig != nil && !r.snapshotMesh(n, h, &s) || s.MeshNetworks != nil && !r.snapshotNetworks(n, h, &s) {
		return
	}
	r.snapshots = append(r.snapshots, s)
}

// snapshotMesh reads the mesh config of a snapshot, and reports whether it could.
func (r *documentReader) snapshotMesh(n *yaml.Node, h header, s *snapshotDocument) bool {
	_, key := child(n, "meshConfig")
	config, _, err := MeshConfig([]byte(s.MeshConfig.Config), r.doc.source.name)
	s.config, s.configLine = config, r.doc.at(key)
	return r.snapshotText(n, h, "meshConfig", err)
}

// snapshotNetworks reads the networks of a snapshot.
func (r *documentReader) snapshotNetworks(n *yaml.Node, h header, s *snapshotDocument) (ok bool) {
	networks, _, err := MeshNetworks([]byte(s.MeshNetworks.Config), r.doc.source.name)
	s.networks = networks
	return r.snapshotText(n, h, "meshNetworks", err)
}

// snapshotText reports the first problem of a text in a field of a snapshot; true if there is none.
func (r *documentReader) snapshotText(n *yaml.Node, h header, field string, err error) bool {
	problems, ok := err.(Problems)
	if !ok || len(problems) == 0 {
		return true
	}
	outer, _ := child(n, field)
	inner, _ := child(outer, "config")
	r.fail(inner, h, strings.TrimSuffix(field+".config: "+problems[0].Field, ": "), "%s", problems[0].Message)
	return false
}

// wrong is the first value that is none of those a field can have; empty if there is none.
func (s *SnapshotDocument) wrong() (field, message string) {
	expect := func(at, value string, among ...string) {
		if message == "" && !slices.Contains(among, value) {
			field, message = at, fmt.Sprintf("%q: expected one of %s", value, strings.Join(among, ", "))
		}
	}
	expect("source", string(s.Source), string(FromCluster), string(FromFiles))
	if v := s.Istio.Version; v != "" && releaseOf(v) != v {
		return "istio.version", fmt.Sprintf("%q: expected a release as X.Y", v)
	}
	if s.Istio.From != "" {
		expect("istio.from", s.Istio.From, "cluster", "flag", "default")
	}
	for i, g := range s.Gaps {
		expect(fmt.Sprintf("gaps[%d].reason", i), g.Reason, gapReasons...)
	}
	for i, u := range s.Running.Unread {
		expect(fmt.Sprintf("running.unread[%d].reason", i), u.Reason, gapReasons...)
	}
	for i, search := range s.Running.Searches {
		for j, g := range search.Gaps {
			expect(fmt.Sprintf("running.searches[%d].gaps[%d].reason", i, j), g.Reason, gapReasons...)
		}
	}
	for i, a := range s.Secrets {
		expect(fmt.Sprintf("secrets[%d].state", i), a.State, AnswerFound, AnswerAbsent, AnswerForbidden, AnswerFailed)
	}
	for i, a := range s.ConfigMaps {
		expect(fmt.Sprintf("configMaps[%d].state", i), a.State, AnswerFound, AnswerAbsent, AnswerForbidden, AnswerFailed)
		if a.State == AnswerFound {
			expect(fmt.Sprintf("configMaps[%d].authority", i), a.Authority, AuthorityCertificate, AuthorityMalformed, AuthorityNone)
		}
	}
	return field, message
}

// restore puts what the document says into the input.
func (s *snapshotDocument) restore(in *resolve.Input) {
	in.Offline = s.Source != FromCluster
	in.IstioVersion, in.IstioVersionFrom, in.Revision = s.Istio.Version, s.Istio.From, s.Istio.Revision
	in.MeshConfig, in.MeshConfigRef, in.MeshOrigin = nil, resolve.Ref{}, nil
	if s.MeshConfig != nil {
		in.MeshConfig, in.MeshConfigRef = s.config, s.MeshConfig.From.ref()
		in.MeshOrigin = &origin{doc: s.doc, within: []string{"meshConfig"}, line: s.configLine}
	}
	in.MeshNetworks, in.MeshNetworksRef, in.MeshNetworksOrigin = nil, resolve.Ref{}, nil
	if s.MeshNetworks != nil {
		in.MeshNetworks, in.MeshNetworksRef = s.networks, s.MeshNetworks.From.ref()
	}
	for _, id := range s.Remotes {
		in.Remotes = append(in.Remotes, resolve.Remote{Cluster: id})
	}
	for _, g := range s.Gaps {
		in.Gaps = append(in.Gaps, g.gap())
	}
	for _, n := range s.Notes {
		in.Notes = append(in.Notes, resolve.Note{Ref: n.ref(), Message: n.Message})
	}
	if r := s.Running; len(r.Unread)+len(r.Searches) > 0 {
		in.Deferred = r.Over(in.Deferred)
	}
	if s.Source == FromCluster {
		in.Secret, in.ConfigMap = s.secret, s.configMap
	}
}

func (r SnapshotRef) ref() resolve.Ref {
	return resolve.Ref{Cluster: r.Cluster, Group: r.Group, Kind: r.Kind, Namespace: r.Namespace, Name: r.Name, Field: r.Field}
}

// NewSnapshotRef is the form of a Ref in a snapshot.
func NewSnapshotRef(r resolve.Ref) SnapshotRef {
	return SnapshotRef{Cluster: r.Cluster, Group: r.Group, Kind: r.Kind, Namespace: r.Namespace, Name: r.Name, Field: r.Field}
}

func (s *snapshotDocument) secret(namespace, name string) resolve.Secret {
	a := answerOf(s.Secrets, namespace, name)
	return resolve.Secret{Found: a.State == AnswerFound, Type: a.Type, Unknown: a.gap(secretGroupKind)}
}

func (s *snapshotDocument) configMap(namespace, name string) resolve.ConfigMap {
	a := answerOf(s.ConfigMaps, namespace, name)
	out := resolve.ConfigMap{Found: a.State == AnswerFound, Unknown: a.gap(configMapGroupKind)}
	if out.Found {
		out.Authority, out.Roots = AuthorityPlaceholders[a.Authority], resolve.RootCertificates(strings.Join(a.Roots, "\n"))
	}
	return out
}

func answerOf(answers []SnapshotAnswer, namespace, name string) SnapshotAnswer {
	for _, a := range answers {
		if a.Namespace == namespace && a.Name == name {
			return a
		}
	}
	return SnapshotAnswer{Namespace: namespace, Name: name, State: AnswerFailed, Detail: "not in the snapshot"}
}

func (a SnapshotAnswer) gap(kind schema.GroupKind) *resolve.Gap {
	if a.State == AnswerFound || a.State == AnswerAbsent {
		return nil
	}
	return &resolve.Gap{GroupKind: kind, Namespace: a.Namespace, Name: a.Name, Reason: resolve.GapReason(a.State), Detail: a.Detail}
}

// restoreSnapshot lets the one document of a snapshot count, if there is one.
func restoreSnapshot(in *resolve.Input, found []snapshotDocument, notes []documentNote, r *reader) {
	for i, s := range found {
		if i > 0 {
			r.problems = append(r.problems, Problem{
				File: s.doc.source.name, Line: s.line, Object: SnapshotKind,
				Message: fmt.Sprintf("a second Snapshot; the first is at %s:%d, and a trace is of one", found[0].doc.source.name, found[0].line),
			})
		}
	}
	for _, n := range notes {
		if len(found) == 0 || !found[0].doc.source.besides(n.source) {
			in.Notes = append(in.Notes, n.Note)
		}
	}
	if len(found) == 0 {
		return
	}
	if ref := in.MeshConfigRef; !ref.IsZero() {
		in.Notes = append(in.Notes, resolve.Note{Ref: ref, Message: "not followed: the mesh config is that of the Snapshot"})
	}
	found[0].restore(in)
}

// documentNote is a remark about a document.
type documentNote struct {
	resolve.Note
	source source
}

package snapshot

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/mesh-trace/kubectl-mesh-trace/cmd/load"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// Names are replaced word by word. A word is a run of letters and digits: reviews-v1.shop.example.com has reviews, v1, shop,
// example and com. One with a capital is none: Exact, ISTIO_MUTUAL.
//
//  1. The words of names, namespaces, hosts, labels' values, accounts, principals and paths are replaced, in every text
//     of the snapshot that has them. As a host, a wildcard, a principal and a selector are made of words, what matched and
//     what did not stays so.
//  2. Words that Istio, Kubernetes or HTTP give a meaning to stay (keptWords), and so do numbers, single letters, and
//     everything in the keys of Istio's and Kubernetes' own labels and annotations.
//  3. The words that are put in have the order of those that they stand for, because names decide where age does not: they
//     begin with the same letter, or with the word that stays before them.
//  4. Regular expressions are texts like all others: a word that stands in one as a whole is replaced, and a part of a word
//     is not.
//
// What comes of it is read and traced, and compared with the traces in which the same words were replaced. A snapshot
// whose names can not be replaced so (a prefix that ends within a word, a regular expression) is refused.

// errNames is why names stay.
var errNames = errors.New("--redact-names: with other names, a trace would be another one: a rule matches a part of a word, such as the prefix " +
	"/rev of /reviews, or a regular expression; without the flag, the snapshot is written with its names")

var word = regexp.MustCompile(`[A-Za-z0-9]+`)

// names are the words that are replaced, and by what.
type names map[string]string

// replace replaces the words of a text.
func (n names) replace(text string) string {
	return word.ReplaceAllStringFunc(text, func(w string) string {
		if to, ok := n[w]; ok {
			return to
		}
		return w
	})
}

// rename returns the snapshot with other names, if its traces are then those of the snapshot with these names in them.
func (t *taking) rename(s *Snapshot) (*Snapshot, error) {
	n := namesOf(wordsOf(s))
	document, err := renamedDocument(s.Document, n)
	if err != nil {
		return nil, err
	}
	out := &Snapshot{Document: document, Replays: s.Replays}
	for _, w := range s.Warnings {
		out.Warnings = append(out.Warnings, n.replace(w))
	}
	for _, o := range s.Objects {
		renamed, _ := n.tree(o, nil).(tree)
		out.Objects = append(out.Objects, renamed)
	}
	sortObjects(out.Objects)
	var typed []trace.Typed
	for _, q := range t.typed {
		typed = append(typed, n.request(q))
	}
	requests, err := parse(typed)
	if err != nil {
		return nil, fmt.Errorf("%w (%w)", errNames, err)
	}
	replayed, err := out.traces(requests)
	if err != nil {
		return nil, fmt.Errorf("%w (%w)", errNames, err)
	}
	for i := range replayed {
		// Both sides: the words of the tool's own sentences are the same on both, whether they are names or not.
		if !bytes.Equal(n.replaceTrace(t.want[i]), n.replaceTrace(replayed[i])) {
			return nil, errNames
		}
	}
	return out, nil
}

// replaceTrace replaces the words of what was printed of a trace, and evens its columns, whose width names decide.
func (n names) replaceTrace(text []byte) []byte {
	return spaces.ReplaceAll([]byte(n.replace(escapes.Replace(string(text)))), []byte(" "))
}

// escapes are what stands for characters in JSON, and would be read as parts of words.
var escapes = strings.NewReplacer(`\n`, " ", `\t`, " ", `\u003c`, "<", `\u003e`, ">", `\u0026`, "&")

var spaces = regexp.MustCompile(` +`)

func (n names) request(q trace.Typed) trace.Typed {
	q.URL = n.url(q.URL)
	q.Namespace, q.Gateway, q.SNI, q.ClientCert = n.replace(q.Namespace), n.replace(q.Gateway), n.replace(q.SNI), n.replace(q.ClientCert)
	if parts := strings.Split(q.From, "/"); len(parts) > 1 {
		for i := range parts {
			if i != len(parts)-2 { // the kind
				parts[i] = n.replace(parts[i])
			}
		}
		q.From = strings.Join(parts, "/")
	} else if q.From != trace.External {
		q.From = n.replace(q.From)
	}
	q.Headers = slices.Clone(q.Headers)
	for i, h := range q.Headers {
		name, value, _ := strings.Cut(h, ":")
		q.Headers[i] = name + ":" + n.replace(value)
	}
	q.Claims = slices.Clone(q.Claims)
	for i, c := range q.Claims {
		name, value, _ := strings.Cut(c, "=")
		q.Claims[i] = name + "=" + n.replace(value)
	}
	return q
}

// url replaces all but the scheme.
func (n names) url(url string) string {
	if scheme, rest, ok := strings.Cut(url, "://"); ok {
		return scheme + "://" + n.replace(rest)
	}
	return n.replace(url)
}

func renamedDocument(d load.SnapshotDocument, n names) (load.SnapshotDocument, error) {
	for i, r := range d.Requests {
		q := n.request(trace.Typed{
			URL: r.URL, Namespace: r.Namespace, From: r.From, Gateway: r.Gateway, Method: r.Method, Headers: r.Headers,
			SourceIP: r.SourceIP, SNI: r.SNI, ClientCert: r.ClientCert, Claims: r.Claims, JWT: r.JWT,
		})
		if i == 0 {
			d.Requests = slices.Clone(d.Requests)
		}
		d.Requests[i] = requestDocument(q)
	}
	d.Remarks = append(slices.Clone(d.Remarks), "names are replaced, each word by the same one everywhere; in regular expressions, whole words")
	return n.document(d)
}

// tree replaces the words of all texts of an object but those whose values are a closed list.
func (n names) tree(value any, path []string) any {
	switch value := value.(type) {
	case tree:
		out := tree{}
		for k, v := range value {
			out[n.key(k, path)] = n.tree(v, append(path, k))
		}
		return out
	case []any:
		out := make([]any, len(value))
		for i, v := range value {
			out[i] = n.tree(v, path)
		}
		return out
	case string:
		if len(path) > 0 && slices.Contains(closedFields, path[len(path)-1]) && (len(path) < 2 || !freeMaps[path[len(path)-2]]) {
			return value
		}
		return n.replace(value)
	}
	return value
}

// closedFields are fields whose texts are no names.
var closedFields = []string{
	"apiVersion", "kind", "group", "creationTimestamp", "deletionTimestamp", "cacert", "controllerName", "protocol", "appProtocol",
	"field", "source", "writtenBy", "reason", "state", "authority", "type", "detail", "version", "command",
}

// freeMaps are the fields whose keys somebody has chosen.
var freeMaps = map[string]bool{
	"labels": true, "matchLabels": true, "selector": true, "annotations": true, "sourceLabels": true, "networks": true,
	"typed_per_filter_config": true, "typedPerFilterConfig": true,
}

// key replaces the words of the key of a label, unless Istio or Kubernetes have given it.
func (n names) key(key string, path []string) string {
	if len(path) == 0 || !freeMaps[path[len(path)-1]] || wellKnownKey(key) || key == "matchLabels" || key == "matchExpressions" {
		return key
	}
	return n.replace(key)
}

func wellKnownKey(key string) bool {
	prefix, _, _ := strings.Cut(key, "/")
	return slices.Contains(knownLabels, key) || slices.ContainsFunc([]string{"istio.io", "k8s.io", "kubernetes.io"}, func(d string) bool {
		return prefix == d || strings.HasSuffix(prefix, "."+d)
	})
}

// namesOf chooses what stands for each of the words, which are in their order; kept are those between them that stay.
//
//  1. What stands for a word that begins with another begins with what stands for that.
//  2. Else it begins with the first letter, or with so much of the word as tells it from the kept word before it.
//  3. A number follows, of as many digits for all.
func namesOf(words, kept []string) names {
	out := names{}
	counts := map[string]int{}
	for i, w := range words {
		base := w[:1]
		if at, _ := slices.BinarySearch(kept, w); at > 0 {
			common := 0
			for before := kept[at-1]; common < min(len(before), len(w)) && before[common] == w[common]; {
				common++
			}
			base = w[:min(common+1, len(w))]
			if common == len(kept[at-1]) {
				base = kept[at-1]
			}
		}
		for j := i - 1; j >= 0 && words[j][0] == w[0]; j-- {
			if strings.HasPrefix(w, words[j]) {
				base = out[words[j]]
				break
			}
		}
		counts[base]++
		out[w] = fmt.Sprintf("%s%04d", base, counts[base])
	}
	return out
}

// wordsOf are the words that are replaced, and those that are kept where names are, both in their order.
func wordsOf(s *Snapshot) (words, kept []string) {
	all := keptWords()
	found, stay := map[string]bool{}, map[string]bool{}
	add := func(text string) {
		for _, w := range word.FindAllString(text, -1) {
			switch {
			case len(w) == 1 || w != strings.ToLower(w) || strings.Trim(w, "0123456789") == "" || version.MatchString(w):
			case all[w]:
				stay[w] = true
			default:
				found[w] = true
			}
		}
	}
	for _, q := range s.Document.Requests {
		rest := q.URL
		if _, after, ok := strings.Cut(rest, "://"); ok {
			rest = after
		}
		for _, text := range []string{rest, q.Namespace, q.Gateway, q.SNI, strings.TrimPrefix(q.ClientCert, "spiffe://")} {
			add(text)
		}
		for _, h := range q.Headers {
			if name, value, _ := strings.Cut(h, ":"); strings.EqualFold(name, "host") {
				add(value)
			}
		}
	}
	addNames(configTree(s.Document.MeshConfig), "", add)
	addNames(configTree(s.Document.MeshNetworks), "", add)
	for _, o := range s.Objects {
		addNames(o, "", add)
	}
	return slices.Sorted(maps.Keys(found)), slices.Sorted(maps.Keys(stay))
}

// configTree is the mesh config of the document, or its networks.
func configTree(text *load.SnapshotMeshConfig) any {
	var config any
	if text == nil || yaml.Unmarshal([]byte(text.Config), &config) != nil {
		return nil
	}
	return config
}

// config replaces the words of a mesh config, or of networks.
func (n names) config(text *load.SnapshotMeshConfig) (*load.SnapshotMeshConfig, error) {
	if text == nil {
		return nil, nil
	}
	config, err := yaml.Marshal(n.tree(configTree(text), nil))
	return &load.SnapshotMeshConfig{From: text.From, Config: string(config)}, err
}

// document replaces the words of all that the document says of the mesh.
func (n names) document(d load.SnapshotDocument) (load.SnapshotDocument, error) {
	requests, remarks := d.Requests, d.Remarks
	d.Requests, d.Remarks = nil, nil
	var err error
	if d.MeshConfig, err = n.config(d.MeshConfig); err != nil {
		return d, err
	}
	if d.MeshNetworks, err = n.config(d.MeshNetworks); err != nil {
		return d, err
	}
	data, err := yaml.Marshal(d)
	if err != nil {
		return d, err
	}
	var whole any
	if err := yaml.Unmarshal(data, &whole); err != nil {
		return d, err
	}
	if data, err = yaml.Marshal(n.tree(whole, nil)); err != nil {
		return d, err
	}
	var out load.SnapshotDocument
	if err := yaml.UnmarshalStrict(data, &out); err != nil {
		return d, err
	}
	if d.MeshConfig != nil {
		out.MeshConfig.Config = d.MeshConfig.Config
	}
	if d.MeshNetworks != nil {
		out.MeshNetworks.Config = d.MeshNetworks.Config
	}
	out.Requests, out.Remarks = requests, remarks
	return out, nil
}

// version is a word such as v1 or v2beta1.
var version = regexp.MustCompile(`^v[0-9]+((alpha|beta)[0-9]+)?$`)

// addNames adds the texts of an object that hold names.
func addNames(value any, field string, add func(string)) {
	switch value := value.(type) {
	case tree:
		for k, v := range value {
			if freeMaps[field] && !wellKnownKey(k) && k != "matchLabels" && k != "matchExpressions" {
				add(k)
			}
			inner := k
			if freeMaps[field] || namedBy(field) {
				inner = "name"
			}
			if k == "annotations" {
				continue
			}
			addNames(v, inner, add)
		}
	case []any:
		for _, v := range value {
			addNames(v, field, add)
		}
	case string:
		if namedBy(field) {
			add(value)
		}
	}
}

// nameFields are the fields, by the end of their names, whose texts are names of somebody's.
var nameFields = []string{
	"name", "names", "namespace", "namespaces", "host", "hosts", "hostname", "hostnames", "authority", "domain", "domains", "principals",
	"serviceaccounts", "service", "subset", "gateways", "snihosts", "sni", "paths", "path", "uri", "prefix", "exact", "regex", "value", "values",
	"address", "addresses", "fromregistry", "issuer", "jwksuri", "subjectaltnames", "credentialname", "externalname", "nodename", "serviceaccountname", "egressproxy", "exportto",
	"defaultendpoint", "email", "trustdomain", "trustdomainaliases", "audiences", "locality", "network",
}

func namedBy(field string) bool {
	field = strings.ToLower(field)
	return slices.ContainsFunc(nameFields, func(n string) bool { return strings.HasSuffix(field, n) })
}

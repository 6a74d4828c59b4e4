package snapshot

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite read.txt")

// TestReadIsWhatTheTraceReads derives read.txt from the types of every expression in resolve and trace.
func TestReadIsWhatTheTraceReads(t *testing.T) {
	read := fieldSet{}
	converted := map[[2]string]bool{}
	for _, p := range listed(t) {
		if strings.HasPrefix(p.ImportPath, "github.com/mesh-trace/") && !p.DepOnly {
			collect(t, p, listedExports(t), read, converted)
		}
	}
	for pair := range converted { // no type here is converted to and from
		for field := range read[pair[1]] {
			read.add(pair[0], field)
		}
	}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(read)) {
		fmt.Fprintln(&b, name, strings.Join(slices.Sorted(maps.Keys(read[name])), " "))
	}
	if *update {
		if err := os.WriteFile("read.txt", []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(b.String(), readText); diff != "" {
		t.Errorf("read.txt is not what resolve and trace read; go test ./cmd/snapshot -run TestReadIs -update rewrites it (-code +read.txt):\n%s", diff)
	}
}

type listedPackage struct {
	ImportPath, Dir, Export string
	GoFiles                 []string
	DepOnly                 bool
}

var packages []listedPackage

// listed are the packages of the trace and all that they import, with their export data.
func listed(t *testing.T) []listedPackage {
	t.Helper()
	if packages != nil {
		return packages
	}
	command := exec.Command("go", "list", "-export", "-deps", "-json=ImportPath,Dir,Export,GoFiles,DepOnly", "../../resolve", "../../trace")
	out, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listedPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}

func listedExports(t *testing.T) func(path string) (io.ReadCloser, error) {
	exports := map[string]string{}
	for _, p := range listed(t) {
		exports[p.ImportPath] = p.Export
	}
	return func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) }
}

// collect adds the fields and methods of API types that a package selects, by the type that declares them. Those of
// interfaces and type parameters count for every type: they are under "*". A type that is converted to another is read as
// the other is: these pairs are converted.
func collect(t *testing.T, p listedPackage, exports func(string) (io.ReadCloser, error), read fieldSet, converted map[[2]string]bool) {
	t.Helper()
	fset := token.NewFileSet()
	var files []*ast.File
	for _, name := range p.GoFiles {
		file, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	info := &types.Info{Uses: map[*ast.Ident]types.Object{}, Selections: map[*ast.SelectorExpr]*types.Selection{}, Types: map[ast.Expr]types.TypeAndValue{}}
	config := types.Config{Importer: importer.ForCompiler(fset, "gc", exports)}
	if _, err := config.Check(p.ImportPath, fset, files, info); err != nil {
		t.Fatal(err)
	}
	for _, s := range info.Selections {
		owner, name := declaring(s), s.Obj().Name()
		if owner == "" {
			continue
		}
		read.add(owner, name)
	}
	for e := range info.Types {
		call, ok := e.(*ast.CallExpr)
		if ok {
			handedOver(call, info, read)
		}
		if !ok || len(call.Args) != 1 || !info.Types[call.Fun].IsType() {
			continue
		}
		from, to := apiType(info.Types[call.Args[0]].Type), apiType(info.Types[call.Fun].Type)
		if from != "" && to != "" && from != to {
			converted[[2]string{from, to}] = true
		}
	}
}

// handedOver adds the whole of an API type that a library's function takes: what it reads there is not seen. Copies read nothing.
func handedOver(call *ast.CallExpr, info *types.Info, read fieldSet) {
	selector, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return
	}
	f, ok := info.Uses[selector.Sel].(*types.Func)
	if !ok || f.Signature().Recv() != nil || f.Pkg() == nil || strings.HasPrefix(f.Pkg().Path(), "github.com/mesh-trace/") || f.Signature().TypeParams().Len() > 0 {
		return
	}
	for p := range f.Signature().Params().Variables() {
		read.whole(p.Type(), map[string]bool{})
	}
}

// whole adds all that an API type holds, but for the types that are added already.
func (s fieldSet) whole(t types.Type, added map[string]bool) {
	switch u := types.Unalias(t).(type) {
	case *types.Pointer:
		s.whole(u.Elem(), added)
	case *types.Slice:
		s.whole(u.Elem(), added)
	case *types.Map:
		s.whole(u.Elem(), added)
	case *types.Named:
		name, of := apiType(u), structOf(u)
		if name == "" || of == nil || added[name] {
			return
		}
		added[name] = true
		for field := range of.Fields() {
			if field.Exported() {
				s.add(name, field.Name())
				s.whole(field.Type(), added)
			}
		}
	}
}

// fieldSet are fields by type.
type fieldSet map[string]map[string]bool

func (s fieldSet) add(of, field string) {
	if s[of] == nil {
		s[of] = map[string]bool{}
	}
	s[of][field] = true
}

// apiType is the name of an API type, or of what it points to; empty for any other.
func apiType(t types.Type) string {
	if pointer, ok := types.Unalias(t).(*types.Pointer); ok {
		t = pointer.Elem()
	}
	named, ok := types.Unalias(t).(*types.Named)
	if !ok || named.Obj().Pkg() == nil || !isAPI(named.Obj().Pkg().Path()) {
		return ""
	}
	return named.Obj().Pkg().Path() + "." + named.Obj().Name()
}

// declaring is the API type that a selection is of; empty for any other.
func declaring(s *types.Selection) string {
	at := s.Recv()
	index := s.Index()
	for _, i := range index[:len(index)-1] {
		at = structOf(at).Field(i).Type()
	}
	if f, ok := s.Obj().(*types.Func); ok {
		at = f.Signature().Recv().Type()
	}
	if types.IsInterface(at) {
		if strings.HasPrefix(s.Obj().Name(), "Get") {
			return everyType
		}
		return ""
	}
	return apiType(at)
}

func structOf(t types.Type) *types.Struct {
	if pointer, ok := t.Underlying().(*types.Pointer); ok {
		t = pointer.Elem()
	}
	s, _ := t.Underlying().(*types.Struct)
	return s
}

package load

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// A cluster is asked for a Secret by name, when a trace needs it, and once. The answer asked for is the
// table that kubectl get prints, without the object: it has the type and the number of keys, and no data.
// Nothing else is accepted, so that a server which has no tables refuses instead of sending the Secret.
//
// Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables.

var secretGroupKind = schema.GroupKind{Kind: secretKind}

// secretTable is the Accept header and includeObject the parameter of such a question.
const (
	secretTable   = "application/json;as=Table;v=v1;g=meta.k8s.io"
	includeObject = "includeObject"
	noObject      = "None"
)

// secretGetter tells the type of one Secret.
type secretGetter interface {
	secretType(ctx context.Context, namespace, name string) (string, error)
}

// secretType asks for one Secret's row.
func (s apiServer) secretType(ctx context.Context, namespace, name string) (string, error) {
	result := s.client.Get().AbsPath(apiPath("", "v1")).Namespace(namespace).Resource("secrets").Name(name).
		Param(includeObject, noObject).SetHeader("Accept", secretTable).Do(ctx)
	if err := result.Error(); err != nil {
		return "", err
	}
	body, err := result.Raw()
	if err != nil {
		return "", err
	}
	return typeInTable(body)
}

// typeInTable is the cell of the column Type. Nothing but columns and cells is decoded.
func typeInTable(body []byte) (string, error) {
	var table struct {
		Kind              string
		ColumnDefinitions []struct{ Name string }
		Rows              []struct{ Cells []json.RawMessage }
	}
	if json.Unmarshal(body, &table) != nil || table.Kind != "Table" {
		return "", errors.New("the server has not answered with a table") // what it has answered is not shown
	}
	column := slices.IndexFunc(table.ColumnDefinitions, func(c struct{ Name string }) bool { return c.Name == "Type" })
	if len(table.Rows) != 1 || column < 0 || column >= len(table.Rows[0].Cells) {
		return "", errors.New("the server's table has no type")
	}
	var kind string
	if json.Unmarshal(table.Rows[0].Cells[column], &kind) != nil {
		return "", errors.New("the server's table has no type")
	}
	return kind, nil
}

// secretsOf answers the questions of a trace, each once.
func secretsOf(ctx context.Context, from secretGetter) func(namespace, name string) resolve.Secret {
	return once(func(namespace, name string) resolve.Secret {
		kind, err := from.secretType(ctx, namespace, name)
		switch {
		case err == nil:
			return resolve.Secret{Found: true, Type: kind}
		case apierrors.IsNotFound(err):
			return resolve.Secret{}
		}
		return resolve.Secret{Unknown: gapOfOne(secretGroupKind, namespace, name, err)}
	})
}

// once asks each question once, and may be asked by several at a time.
func once[T any](ask func(namespace, name string) T) func(namespace, name string) T {
	var answers sync.Map
	return func(namespace, name string) T {
		key := resolve.Ref{Namespace: namespace, Name: name}
		answer, _ := answers.LoadOrStore(key, sync.OnceValue(func() T { return ask(namespace, name) }))
		if answer, ok := answer.(func() T); ok {
			return answer()
		}
		return ask(namespace, name)
	}
}

// gapOfOne is what an object that could not be read leaves unknown.
func gapOfOne(kind schema.GroupKind, namespace, name string, err error) *resolve.Gap {
	gap := &resolve.Gap{GroupKind: kind, Namespace: namespace, Name: name, Reason: resolve.GapFailed, Detail: oneLine(err)}
	if apierrors.IsForbidden(err) {
		gap.Reason = resolve.GapForbidden
	}
	return gap
}

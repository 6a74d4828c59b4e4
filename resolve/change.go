package resolve

import "fmt"

// ChangeOp is what a Change does to a field. It is a closed list.
type ChangeOp string

// The operations.
const (
	// ChangeAdd and ChangeRemove put a value into a list, or take it out.
	ChangeAdd    ChangeOp = "add"
	ChangeRemove ChangeOp = "remove"
	// ChangeSet gives a field another value.
	ChangeSet ChangeOp = "set"
	// ChangeDelete takes a field away or, without one, the resource.
	ChangeDelete ChangeOp = "delete"
	// ChangeCreate makes a resource that is not there.
	ChangeCreate ChangeOp = "create"
	// ChangeSend is about the request: it names no resource.
	ChangeSend ChangeOp = "send"
)

// Change is one edit that would turn a verdict, alone or with others. The tool
// names it and applies nothing.
type Change struct {
	Op ChangeOp
	// Ref is the resource and field; zero for ChangeSend.
	Ref Ref
	// Value is what is added, removed or set, in YAML's flow style; for ChangeSend the header.
	Value string
}

// String is the edit in words: add "x" to spec.rules[0].to[0].operation.paths of AuthorizationPolicy shop/a.
func (c Change) String() string {
	of := c.Ref.Object().String()
	switch c.Op {
	case ChangeAdd:
		return fmt.Sprintf("add %s to %s of %s", c.Value, c.Ref.Field, of)
	case ChangeRemove:
		return fmt.Sprintf("remove %s from %s of %s", c.Value, c.Ref.Field, of)
	case ChangeSet:
		return fmt.Sprintf("set %s of %s to %s", c.Ref.Field, of, c.Value)
	case ChangeDelete:
		if c.Ref.Field == "" {
			return "delete " + of
		}
		return fmt.Sprintf("delete %s of %s", c.Ref.Field, of)
	case ChangeCreate:
		return "create " + of
	case ChangeSend:
		return "send the header " + c.Value
	}
	return ""
}

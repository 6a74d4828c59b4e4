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
	// ChangeRestart has the pods of a workload created anew.
	ChangeRestart ChangeOp = "restart"
	// ChangeSend is about the request: it names no resource. So does ChangeOmit, which leaves a place of it out.
	ChangeSend ChangeOp = "send"
	ChangeOmit ChangeOp = "omit"
	// ChangeToken is about the claims of the end-user token, and ChangePlace about where in the request it stands;
	// both name the jwtRule that would accept it.
	ChangeToken ChangeOp = "token"
	ChangePlace ChangeOp = "place"
)

// Change is one edit that would turn a verdict, alone or with others. The tool
// names it and applies nothing.
type Change struct {
	Op ChangeOp
	// Ref is the resource and field; zero for ChangeSend and ChangeOmit.
	Ref Ref
	// Value is what is added, removed or set, in YAML's flow style; for ChangeSend the header, for ChangeOmit the place
	// (header x-token), for ChangeToken the claims, for ChangePlace the place with TOKEN in it.
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
	case ChangeRestart:
		return "restart " + of
	case ChangeSend:
		return "send the header " + c.Value
	case ChangeOmit:
		return "leave out " + c.Value
	case ChangeToken:
		return fmt.Sprintf("send a token with %s, which %s of %s accepts", c.Value, c.Ref.Field, of)
	case ChangePlace:
		return fmt.Sprintf("send the token as %s, where %s of %s reads it", c.Value, c.Ref.Field, of)
	}
	return ""
}

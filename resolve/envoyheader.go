package resolve

import (
	"strconv"
	"strings"
)

// headerOp is one operation on a header, as Envoy's configuration has it.
type headerOp struct {
	name, value string
	remove      bool
	action      appendAction
}

// appendAction is what becomes of a header that is there already.
type appendAction int

const (
	appendOrAdd appendAction = iota
	addIfAbsent
	overwriteOrAdd
	overwriteIfExists
)

var appendActions = map[string]appendAction{
	"": appendOrAdd, "APPEND_IF_EXISTS_OR_ADD": appendOrAdd, "ADD_IF_ABSENT": addIfAbsent,
	"OVERWRITE_IF_EXISTS_OR_ADD": overwriteOrAdd, "OVERWRITE_IF_EXISTS": overwriteIfExists,
}

// headerOption reads a HeaderValueOption; understood is false where Envoy refuses it or it is not modelled.
func headerOption(v *envoyValue) (op headerOp, understood bool) {
	header := v.object("header")
	op = headerOp{name: strings.ToLower(header.text("key")), value: header.text("value")}
	action, known := appendActions[v.text("append_action")]
	op.action = action
	if appends, set := v.flag("append"); set && !appends {
		op.action = overwriteOrAdd
	}
	if keep, _ := v.flag("keep_empty_value"); op.value == "" && !keep {
		op.name = "" // nothing is added
		return op, known
	}
	return op, known && op.name != "" && !isPseudoHeader(op.name)
}

// headerLists reads request_headers_to_add, response_headers_to_remove and the like; what names the direction.
func headerLists(v *envoyValue, direction string) (ops []headerOp, understood bool) {
	understood = true
	for _, name := range v.texts(direction + "_headers_to_remove") {
		name = strings.ToLower(name)
		understood = understood && name != "" && !isPseudoHeader(name)
		ops = append(ops, headerOp{name: name, remove: true})
	}
	for _, option := range v.list(direction + "_headers_to_add") {
		op, ok := headerOption(option)
		understood = understood && ok
		if op.name != "" {
			ops = append(ops, op)
		}
	}
	return ops, understood
}

// headerOpsBoth are operations on requests and on answers.
type headerOpsBoth struct{ request, response []headerOp }

// mutationsOf reads the configuration of a header mutation filter.
func mutationsOf(config *envoyValue) (out headerOpsBoth, understood bool) {
	mutations := config.object("mutations")
	understood = mutations != nil
	read := func(field string) (ops []headerOp) {
		for _, m := range mutations.list(field) {
			if name := strings.ToLower(m.text("remove")); name != "" {
				understood = understood && !isPseudoHeader(name)
				ops = append(ops, headerOp{name: name, remove: true})
				continue
			}
			op, ok := headerOption(m.object("append"))
			understood = understood && ok
			if op.name != "" {
				ops = append(ops, op)
			}
		}
		return ops
	}
	out.request, out.response = read("request_mutations"), read("response_mutations")
	return out, understood && len(config.unread()) == 0
}

// applyHeaderOps does the operations on a request, in their order.
// Source: Envoy, source/common/router/header_parser.cc, evaluateHeaders.
func applyHeaderOps(q *HTTPRequest, ops []headerOp, ref Ref) []Step {
	var steps []Step
	for _, op := range ops {
		old, there := q.Headers[op.name]
		if op.remove {
			delete(q.Headers, op.name)
			steps = append(steps, NewStep(RulePatchRequestHeader, Applied, ref, "removes header "+op.name))
			continue
		}
		value, computed := headerValue(op.value)
		if computed {
			steps = append(steps, NewStep(RulePatchHeaderComputed, Warned, ref, op.name, value))
		}
		switch {
		case op.action == addIfAbsent && there, op.action == overwriteIfExists && !there:
			continue
		case op.action == appendOrAdd && there:
			q.Headers[op.name] = old + "," + value
		default:
			q.Headers[op.name] = value
		}
		if !computed {
			steps = append(steps, NewStep(RulePatchRequestHeader, Applied, ref, op.does(value)))
		}
	}
	return steps
}

// responseOps tells the operations on answers.
func responseOps(ops []headerOp, ref Ref) []Step {
	var steps []Step
	for _, op := range ops {
		what := op.does(op.value)
		if op.remove {
			what = "removes header " + op.name
		}
		steps = append(steps, NewStep(RulePatchResponseHeader, Applied, ref, what))
	}
	return steps
}

// does is the operation in words.
func (op headerOp) does(value string) string {
	value = strconv.Quote(value)
	switch op.action {
	case addIfAbsent:
		return "sets header " + op.name + ", where it is absent, to " + value
	case overwriteOrAdd:
		return "sets header " + op.name + " to " + value
	case overwriteIfExists:
		return "sets header " + op.name + ", where it is there, to " + value
	case appendOrAdd:
	}
	return "adds " + value + " to header " + op.name
}

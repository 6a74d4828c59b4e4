package resolve

import (
	"slices"
	"strconv"
	"strings"
)

// Expressions of access log filters, as far as they are plain: CEL over Envoy's attributes.
//
//  1. || and && and ! join conditions, as Kleene's logic has it: what is not known matters only where it decides.
//  2. A condition compares two of attribute, number and string with == != < <= > >=, or asks for an attribute among a list with
//     in; it is a call of contains, startsWith or endsWith of an attribute; or it is true or false.
//  3. Everything else is not known.
//
// Source: https://github.com/google/cel-spec/blob/master/doc/langdef.md; Envoy, docs, Attributes.

// attributeOf gives the value of an attribute, a.b['c'] as a.b.c; false where it is not known.
type attributeOf func(name string) (string, bool)

// deepestExpression bounds how deep conditions are nested.
const deepestExpression = 50

// evaluateExpression is the value of an expression; Unknown for one that is not plain.
func evaluateExpression(text string, attribute attributeOf) Truth {
	e := expression{lexemes: lexemesOf(text), attribute: attribute, plain: true}
	value := e.either()
	if !e.plain || e.at != len(e.lexemes) {
		return Unknown
	}
	return value
}

// expression is one being read.
type expression struct {
	lexemes   []lexeme
	at, depth int
	attribute attributeOf
	// plain ends where something is met that is not understood.
	plain bool
}

type lexemeKind int

const (
	// lexStrange is one of no kind that is known.
	lexStrange lexemeKind = iota
	lexName
	lexNumber
	lexText
	lexSign
)

type lexeme struct {
	kind lexemeKind
	text string
}

// signs are the longest first.
var signs = []string{"==", "!=", "<=", ">=", "&&", "||", "<", ">", "!", "(", ")", "[", "]", ",", "."}

// lexemesOf cuts an expression into its lexemes.
func lexemesOf(in string) []lexeme {
	var out []lexeme
	for in = strings.TrimSpace(in); in != ""; in = strings.TrimSpace(in) {
		t, size := nextLexeme(in)
		out = append(out, t)
		in = in[size:]
	}
	return out
}

func nextLexeme(in string) (lexeme, int) {
	first := in[0]
	if first == '\'' || first == '"' {
		end := strings.IndexByte(in[1:], first)
		if end < 0 || strings.ContainsRune(in[1:1+end], '\\') {
			return lexeme{lexStrange, in}, len(in)
		}
		return lexeme{lexText, in[1 : 1+end]}, end + 2
	}
	isLetter := func(c byte) bool {
		return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
	}
	size := 0
	for size < len(in) && isLetter(in[size]) {
		size++
	}
	switch {
	case size > 0 && first >= '0' && first <= '9':
		return lexeme{lexNumber, in[:size]}, size
	case size > 0:
		return lexeme{lexName, in[:size]}, size
	}
	for _, s := range signs {
		if strings.HasPrefix(in, s) {
			return lexeme{lexSign, s}, len(s)
		}
	}
	return lexeme{lexStrange, in}, len(in)
}

// take goes on behind a sign, if it comes next.
func (e *expression) take(s string) bool {
	if e.at < len(e.lexemes) && e.lexemes[e.at] == (lexeme{lexSign, s}) {
		e.at++
		return true
	}
	return false
}

func (e *expression) either() Truth {
	value := e.both()
	for e.plain && e.take("||") {
		value = value.Or(e.both())
	}
	return value
}

func (e *expression) both() Truth {
	value := e.condition()
	for e.plain && e.take("&&") {
		value = value.And(e.condition())
	}
	return value
}

func (e *expression) condition() Truth {
	if e.depth++; e.depth > deepestExpression {
		return e.strange()
	}
	defer func() { e.depth-- }()
	if e.take("!") {
		return e.condition().Not()
	}
	if e.take("(") {
		value := e.either()
		if !e.take(")") {
			return e.strange()
		}
		return value
	}
	left := e.operand()
	if !e.plain {
		return Unknown
	}
	if left.isCall {
		return left.called
	}
	return e.compared(left)
}

func (e *expression) strange() Truth {
	e.plain = false
	return Unknown
}

// operand is one side of a comparison.
type operand struct {
	value  string
	number bool
	known  bool
	// isCall is set for a call that is a condition by itself, of which called is the value.
	isCall bool
	called Truth
}

// compared is the comparison that goes on behind its left side.
func (e *expression) compared(left operand) Truth {
	if e.at >= len(e.lexemes) {
		return e.strange()
	}
	by := e.lexemes[e.at]
	e.at++
	if by == (lexeme{lexName, "in"}) {
		return e.among(left)
	}
	if by.kind != lexSign || !slices.Contains([]string{"==", "!=", "<", "<=", ">", ">="}, by.text) {
		return e.strange()
	}
	right := e.operand()
	if !e.plain || right.isCall {
		return e.strange()
	}
	if !left.known || !right.known {
		return Unknown
	}
	order := strings.Compare(left.value, right.value)
	if left.number || right.number {
		a, errA := strconv.Atoi(left.value)
		b, errB := strconv.Atoi(right.value)
		if errA != nil || errB != nil {
			return Unknown
		}
		order = a - b
	}
	return TruthOf(map[string]bool{"==": order == 0, "!=": order != 0, "<": order < 0, "<=": order <= 0, ">": order > 0, ">=": order >= 0}[by.text])
}

// among is the list behind in.
func (e *expression) among(left operand) Truth {
	if !e.take("[") {
		return e.strange()
	}
	value := False
	for first := true; !e.take("]"); first = false {
		if !first && !e.take(",") {
			return e.strange()
		}
		o := e.operand()
		if !e.plain || o.isCall {
			return e.strange()
		}
		if !o.known || !left.known {
			value = value.Or(Unknown)
			continue
		}
		value = value.Or(TruthOf(o.value == left.value))
	}
	return value
}

// operand reads a literal, an attribute, or a call of one.
func (e *expression) operand() operand {
	if e.at >= len(e.lexemes) {
		e.strange()
		return operand{}
	}
	t := e.lexemes[e.at]
	e.at++
	switch {
	case t.kind == lexText:
		return operand{value: t.text, known: true}
	case t.kind == lexNumber:
		return operand{value: t.text, known: true, number: true}
	case t.kind == lexName && (t.text == "true" || t.text == "false"):
		return operand{isCall: true, called: TruthOf(t.text == "true")}
	case t.kind == lexName:
		return e.path(t.text)
	}
	e.strange()
	return operand{}
}

// path reads an attribute from its first name on.
func (e *expression) path(attribute string) operand {
	for e.at < len(e.lexemes) {
		switch {
		case e.take("."):
			if e.at >= len(e.lexemes) || e.lexemes[e.at].kind != lexName {
				e.strange()
				return operand{}
			}
			part := e.lexemes[e.at].text
			e.at++
			if e.take("(") {
				return e.call(attribute, part)
			}
			attribute += "." + part
		case e.take("["):
			if e.at+1 >= len(e.lexemes) || e.lexemes[e.at].kind != lexText || e.lexemes[e.at+1] != (lexeme{lexSign, "]"}) {
				e.strange()
				return operand{}
			}
			attribute += "." + strings.ToLower(e.lexemes[e.at].text)
			e.at += 2
		case e.take("("):
			e.strange() // a function: of has() and its like the arguments are no values
			return operand{}
		default:
			value, known := e.attribute(attribute)
			return operand{value: value, known: known}
		}
	}
	value, known := e.attribute(attribute)
	return operand{value: value, known: known}
}

// call is a method of an attribute with one argument.
func (e *expression) call(attribute, method string) operand {
	test := map[string]func(s, part string) bool{"contains": strings.Contains, "startsWith": strings.HasPrefix, "endsWith": strings.HasSuffix}[method]
	argument := e.operand()
	if !e.plain || test == nil || !e.take(")") {
		e.strange()
		return operand{}
	}
	value, known := e.attribute(attribute)
	if !known || !argument.known {
		return operand{isCall: true}
	}
	return operand{isCall: true, called: TruthOf(test(value, argument.value))}
}

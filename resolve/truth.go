package resolve

// Truth is the answer to a condition that may hang on something the snapshot
// does not know. It is Kleene's three-valued logic.
type Truth int8

// The three values. Unknown is the zero value on purpose: nothing is true by accident.
const (
	Unknown Truth = iota
	False
	True
)

// TruthOf converts a bool.
func TruthOf(b bool) Truth {
	if b {
		return True
	}
	return False
}

// Not is True for False, False for True, and Unknown for Unknown.
func (t Truth) Not() Truth {
	switch t {
	case True:
		return False
	case False:
		return True
	case Unknown:
	}
	return Unknown
}

// And is False if either is False, Unknown if either is Unknown, else True.
func (t Truth) And(u Truth) Truth {
	switch {
	case t == False || u == False:
		return False
	case t == Unknown || u == Unknown:
		return Unknown
	}
	return True
}

// Or is True if either is True, Unknown if either is Unknown, else False.
func (t Truth) Or(u Truth) Truth { return t.Not().And(u.Not()).Not() }

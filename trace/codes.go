package trace

// Code is the stable reason code of an outcome.
type Code string

// CodeInfo says what a code means.
type CodeInfo struct {
	Code     Code
	Decision Decision
	Says     string
}

// Codes lists every code, ordered; `kubectl mesh-trace codes` prints it.
func Codes() []CodeInfo { return nil }

package trace

import "strings"

// ParseHeaders reads "K: V" lines as a client would send them:
//
//  1. Names are case-insensitive and kept in lower case; a value loses the blanks around it and may be empty.
//  2. A name given several times is one header, its values joined with "," as
//     Envoy joins them; those of cookie with "; " (RFC 9113, 8.2.3).
//  3. Host replaces the authority, so it has one value.
//  4. Pseudo-headers (":path", …) come from the URL and the method, and can not be set.
func ParseHeaders(lines []string) (map[string]string, error) {
	headers := make(map[string]string, len(lines))
	for _, line := range lines {
		name, value, err := parseHeader(line)
		if err != nil {
			return nil, err
		}
		previous, repeated := headers[name]
		switch {
		case !repeated:
			headers[name] = value
		case name == "host":
			return nil, refuse(InputHeader, "Host is given twice: %q and %q; a request has one", previous, value)
		case name == "cookie":
			headers[name] = previous + "; " + value
		default:
			headers[name] = previous + "," + value
		}
	}
	return headers, nil
}

func parseHeader(line string) (name, value string, err error) {
	if strings.HasPrefix(line, ":") {
		return "", "", refuse(InputHeader, "%q: a pseudo-header can not be set; it comes from the URL and --method (for :authority, set Host)", line)
	}
	name, value, ok := strings.Cut(line, ":")
	if !ok {
		return "", "", refuse(InputHeader, "%q: expected 'Name: value'", line)
	}
	if !isToken(name) {
		return "", "", refuse(InputHeader, "%q: %q is not a header name; expected 'Name: value'", line, name)
	}
	name, value = strings.ToLower(name), strings.Trim(value, " \t")
	for _, c := range []byte(value) {
		if c < ' ' && c != '\t' || c == 0x7f {
			return "", "", refuse(InputHeader, "%q: the value has control characters, which no header can carry", line)
		}
	}
	if name == "host" && !isVisible(value) {
		return "", "", refuse(InputHeader, "%q: expected a host, and a port if need be", line)
	}
	return name, value, nil
}

// isToken reports whether a text is a token of RFC 9110, 5.6.2: what header names and methods are made of.
func isToken(s string) bool {
	for _, c := range []byte(s) {
		if !isAlphanumeric(c) && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return false
		}
	}
	return s != ""
}

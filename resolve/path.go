package resolve

import (
	"slices"
	"strings"
)

// NormalizePath is a request path (a query stays as it is) as routes and policies
// see it, after the mesh's pathNormalization; connectionSettings may say otherwise of slashes (RequestCleaning).
//
// 1. A fragment is cut off, whatever the mode.
// 2. NONE leaves the rest as it was sent.
// 3. DECODE_AND_MERGE_SLASHES first decodes %2F and %5C.
// 4. Every other mode (DEFAULT is BASE) takes the parameters off "." and ".."
// segments ("..;a=b"), makes backslashes slashes, resolves "." and ".." segments,
// also where the dots are written %2E, decodes escaped letters, digits and "-_.~",
// and escapes what may not stand in a path. Repeated slashes and other escapes stay.
// 5. MERGE_SLASHES and DECODE_AND_MERGE_SLASHES then merge repeated slashes.
//
//	sent           NONE         BASE        MERGE_SLASHES  DECODE_AND_MERGE_SLASHES
//	/app/../admin  as is        /admin      /admin         /admin
//	/app//         as is        /app//      /app/          /app/
//	/app%2fx       as is        /app%2fx    /app%2fx       /app/x
//	/app\admin     as is        /app/admin  /app/admin     /app/admin
//	/app/..;x/adm  as is        /adm        /adm           /adm
//	/app#f         /app         /app        /app           /app
//
// Source: pilot/pkg/networking/core/listener_builder.go, buildHTTPConnectionManager;
// Envoy, source/common/http/path_utility.cc, and the googleurl it is built with (the
// parameters since Envoy 1.39.1, runtime guard strip_dotdot_segments_with_parameters).
func NormalizePath(path string, c RequestCleaning) string {
	path, _, _ = strings.Cut(path, "#")
	if before, query, ok := strings.Cut(path, "?"); ok {
		return NormalizePath(before, c) + "?" + query
	}
	if c.slashes == slashesDecoded || c.slashes == slashesRedirected {
		path = escapedSlashes.Replace(path)
	}
	if c.normalize {
		path = canonicalPath(path)
	}
	if c.mergeSlashes {
		path = mergeSlashes(path)
	}
	return path
}

var escapedSlashes = strings.NewReplacer("%2F", "/", "%2f", "/", "%5C", `\`, "%5c", `\`)

// canonicalPath resolves the segments of a path.
func canonicalPath(path string) string {
	path = canonicalBytes(withoutDotParameters(path))
	path = strings.TrimPrefix(path, "/")
	segments := strings.Split(path, "/")
	kept := segments[:0]
	for i, s := range segments {
		last := i == len(segments)-1
		switch s {
		case ".":
		case "..":
			if len(kept) > 0 {
				kept = kept[:len(kept)-1]
			}
		default:
			kept = append(kept, s)
			continue
		}
		if last { // "/a/." and "/a/b/.." end with a slash
			kept = append(kept, "")
		}
	}
	return "/" + strings.Join(kept, "/")
}

// withoutDotParameters takes the parameters off dot segments; only those with the dots as such.
func withoutDotParameters(path string) string {
	if !strings.Contains(path, ".;") {
		return path
	}
	segments := strings.Split(path, "/")
	for i, s := range segments {
		if dots, _, ok := strings.Cut(s, ";"); ok && (dots == "." || dots == "..") {
			segments[i] = dots
		}
	}
	return strings.Join(segments, "/")
}

// canonicalBytes decodes what need not be escaped and escapes what must be. A "%"
// that begins no escape stays, unless decoding made one of it: then it is escaped itself.
func canonicalBytes(path string) string {
	const hex = "0123456789ABCDEF"
	out := make([]byte, 0, len(path))
	stray := -1 // where the last "%" that begins no escape stands in out
	for i := 0; i < len(path); i++ {
		c := path[i]
		switch {
		case c == '\\':
			out = append(out, '/')
		case c == '%' && i+2 < len(path) && isHex(path[i+1]) && isHex(path[i+2]):
			d := unhex(path[i+1])<<4 | unhex(path[i+2])
			switch {
			case !isUnreserved(d):
				out = append(out, path[i:i+3]...)
			case stray >= 0 && isHex(d) && (stray == len(out)-1 && i+3 < len(path) && isHex(path[i+3]) || stray == len(out)-2 && isHex(out[len(out)-1])):
				out = append(slices.Insert(out, stray+1, '2', '5'), d)
				stray = -1
			default:
				out = append(out, d)
			}
			i += 2
		case c <= ' ' || c >= 0x7f || strings.IndexByte("\"<>?^`{|}", c) >= 0:
			out = append(out, '%', hex[c>>4], hex[c&15])
		default:
			if c == '%' {
				stray = len(out)
			}
			out = append(out, c)
		}
	}
	return string(out)
}

func isUnreserved(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || strings.IndexByte("-_.~", c) >= 0
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	}
	return c - 'a' + 10
}

func mergeSlashes(path string) string {
	for strings.Contains(path, "//") {
		path = strings.ReplaceAll(path, "//", "/")
	}
	return path
}

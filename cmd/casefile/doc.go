// Package casefile reads case files: requests, each with what is expected of its trace.
//
//  1. A document of kind TraceTest (meshtrace.dev/v1alpha1) names the manifests of its mesh, and holds cases (document.go).
//  2. A field of a request that is a list stands for one case each; several lists multiply (request.go).
//  3. What is expected is part of the JSON document of a trace: every field that is given must match, all others are
//     free (expectation.go, match.go, share.go).
//  4. Test files of istio-config-validator are read as they are (validator.go).
//
// A file is read strictly: what is not known, or of another type, is a [Problem] that says where it stands and what was
// expected. Nothing is traced here, and no manifest is read.
package casefile

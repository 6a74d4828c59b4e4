package show

import (
	"bytes"
	"encoding/json"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/reach"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/render"
)

// Matrix is a matrix as a document: cells[i][j] is the index into answers of what becomes of requests[j] from sources[i].
type Matrix struct {
	APIVersion string           `json:"apiVersion"`
	Kind       string           `json:"kind"`
	Istio      render.Istio     `json:"istio"`
	Sources    []Source         `json:"sources"`
	Requests   []Request        `json:"requests"`
	Answers    []Answer         `json:"answers"`
	Warnings   []render.Warning `json:"warnings"`
	Cells      [][]int          `json:"cells"`
}

// Answer is how requests end.
type Answer struct {
	// Sign is as in the table.
	Sign      string    `json:"sign"`
	Reach     string    `json:"reach"`
	Certainty string    `json:"certainty"`
	Outcomes  []Outcome `json:"outcomes"`
	// Cells is how many have it.
	Cells int `json:"cells"`
}

// NewMatrix is the matrix as a document; locate says where a field was read.
func NewMatrix(m *reach.Matrix, locate func(resolve.Ref) string) *Matrix {
	d := &Matrix{
		APIVersion: apiVersion, Kind: "Matrix", Istio: render.Istio{Version: m.Istio.Release, From: m.Istio.From},
		Sources: []Source{}, Requests: []Request{}, Answers: []Answer{}, Warnings: warningDocuments(m.Warnings, locate), Cells: [][]int{},
	}
	for _, s := range m.Sources {
		d.Sources = append(d.Sources, sourceDocument(s))
	}
	for _, q := range m.Questions {
		d.Requests = append(d.Requests, requestDocument(q.Request))
	}
	counts := m.Counts()
	for i, a := range m.Answers {
		d.Answers = append(d.Answers, Answer{a.Sign(), string(a.Reach()), string(a.Certainty()), outcomeDocuments(a, locate), counts[i]})
	}
	for i := range m.Sources {
		row := make([]int, len(m.Questions))
		for q := range m.Questions {
			row[q] = m.Index(i, q)
		}
		d.Cells = append(d.Cells, row)
	}
	return d
}

// MarshalJSON writes the document so that it may be read on a terminal.
func (d Matrix) MarshalJSON() ([]byte, error) {
	type plain Matrix
	return render.MarshalSafe(plain(d))
}

// JSON is the document with a line for each row of cells.
func (d *Matrix) JSON() ([]byte, error) {
	head := *d
	head.Cells = nil
	data, err := json.MarshalIndent(head, "", "    ")
	if err != nil {
		return nil, err
	}
	open := bytes.LastIndex(data, []byte(`"cells": null`))
	var b bytes.Buffer
	b.Write(data[:open])
	b.WriteString(`"cells": [`)
	for i, row := range d.Cells {
		line, err := json.Marshal(row)
		if err != nil {
			return nil, err
		}
		b.WriteString(map[bool]string{true: "\n", false: ",\n"}[i == 0] + "        ")
		b.Write(line)
	}
	b.WriteString("\n    ]\n}\n")
	return b.Bytes(), nil
}

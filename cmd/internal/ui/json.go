package ui

import (
	"encoding/json"
	"io"

	"github.com/seatrial/seatrial/plans"
)

// JSONVersion of the contract that README.md documents. Fields and types are only ever added.
const JSONVersion = 1

// JSON writes one object a line.
type JSON struct {
	enc *json.Encoder
	err error
}

// NewJSON begins with the version line.
func NewJSON(w io.Writer, program string) *JSON {
	j := &JSON{enc: json.NewEncoder(w)}
	j.enc.SetEscapeHTML(false)
	j.Object(struct {
		Type     string `json:"type"`
		Version  int    `json:"version"`
		Seatrial string `json:"seatrial"`
	}{"version", JSONVersion, program})
	return j
}

// Event implements Display.
func (j *JSON) Event(e plans.Event) { j.Object(e) }

// Object writes any other line; it has a type of its own.
func (j *JSON) Object(v any) {
	if err := j.enc.Encode(v); err != nil && j.err == nil {
		j.err = err
	}
}

// Err is the first error of writing.
func (j *JSON) Err() error { return j.err }

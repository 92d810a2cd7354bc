package ui

import (
	_ "embed"
	"encoding/json"
	"io"

	"github.com/seatrial/seatrial/plans"
)

// JSONVersion of the contract. Fields and types are only ever added.
const JSONVersion = 1

// JSONSchema is the contract: every line that any command prints with --json. README.md says what the fields mean.
//
//go:embed json.schema.json
var JSONSchema string

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

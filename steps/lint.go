package steps

import "github.com/seatrial/seatrial/remote"

// Lint has systemd check the new units and leaves nothing behind: for previews. UnitCopy lints what it has staged.
type Lint struct{}

// Name implements Step.
func (Lint) Name() string { return "lint" }

// Effect implements Step.
func (Lint) Effect() Effect { return Reads }

// Preview implements Step.
func (Lint) Preview(Transaction) []Line { return nil }

// Requests implements Step.
func (s Lint) Requests(t Transaction) []remote.Request {
	if !t.Facts.Analyze {
		return nil
	}
	return []remote.Request{t.request(s.Name(), "lint", filesOf(t)...)}
}

// filesOf is each path with its content.
func filesOf(t Transaction) []string {
	var words []string
	for _, f := range t.Service.Files {
		words = append(words, f.Path, string(f.Content))
	}
	return words
}

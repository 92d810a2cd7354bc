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
	return []remote.Request{LintRequest(t.Service)}
}

// LintRequest asks for the lint of these files. It needs no facts, so it can be sent together with FactsRequest.
func LintRequest(s Service) remote.Request {
	args := []string{s.Name}
	for _, f := range s.Files {
		args = append(args, f.Path, string(f.Content))
	}
	return remote.Request{Step: Lint{}.Name(), Verb: "lint", Args: args}
}

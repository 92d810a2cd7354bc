package cli

import (
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/seatrial/seatrial/cmd/internal/ui"
	"github.com/seatrial/seatrial/plans"
)

// savedRow is a saved plan.
type savedRow struct {
	Type        string    `json:"type"`
	File        string    `json:"file"`
	Digest      string    `json:"digest"`
	Created     time.Time `json:"created"`
	Owner       string    `json:"owner"`
	Environment string    `json:"environment"`
	Hosts       []string  `json:"hosts"`
}

func rowOf(file string, s *plans.Saved) savedRow {
	row := savedRow{"plan.saved", file, s.Digest, s.Created, s.Owner, s.Environment.Name, nil}
	for _, h := range s.Environment.Hosts {
		row.Hosts = append(row.Hosts, h.Name)
	}
	return row
}

// save puts the plan that was shown into a file.
func (p *program) save(file, login string, run *plans.Run, v view) error {
	saved, err := run.Save(Version(), login)
	if err != nil {
		ui.Error(p.errs, err.Error(), "put it right, or leave hosts out with --on")
		return planned(run, v.show, max(run.ExitCode(), plans.ExitUsage))
	}
	if err := saved.Write(file); err != nil {
		return err
	}
	if j, ok := v.show.(*ui.JSON); ok {
		j.Object(rowOf(file, saved))
		return nil
	}
	_, _ = fmt.Fprintf(p.out, "saved as %s: plan %.12s\n", file, saved.Digest)
	_, _ = fmt.Fprintf(p.errs, "hint: seatrial deploy --plan %s\n", file)
	return nil
}

// showSaved prints a saved plan as it was seen when it was saved.
func (p *program) showSaved(c *cli.Context, file string) error {
	saved, err := plans.ReadSaved(file)
	if err != nil {
		return err
	}
	show, style := p.display(c)
	if j, ok := show.(*ui.JSON); ok {
		j.Object(rowOf(file, saved))
		for _, preview := range saved.Previews() {
			j.Object(ui.PreviewObject(preview))
		}
		return nil
	}
	_, _ = fmt.Fprintf(p.out, "plan %.12s: %s %s, saved %s by %s\n\n", saved.Digest, saved.Plan, saved.Environment.Name,
		saved.Created.Format(time.RFC3339), ui.Clean(saved.Owner))
	ui.Preview(p.out, style, saved.Previews())
	return nil
}

package lab

import (
	"fmt"
	"os"
	"sync"
	"testing"
)

// Shared is one lab for all tests of a package. The first test that asks for
// it boots the hosts, so a run of other tests costs nothing; TestMain removes
// them after the tests:
//
//	var hosts = lab.Shared{Spec: lab.Spec{Hosts: ...}}
//
//	func TestMain(m *testing.M) { os.Exit(hosts.Run(m)) }
type Shared struct {
	Spec Spec

	once sync.Once
	lab  *Lab
	err  error
}

// Lab returns the shared lab, booting it if this is the first call.
func (s *Shared) Lab(t testing.TB) *Lab {
	t.Helper()
	Require(t, s.Spec.suites()...)
	s.once.Do(func() {
		// Not the context of the test: the lab outlives it.
		s.lab, s.err = Open(background(), s.Spec)
	})
	if s.err != nil {
		t.Fatal(s.err)
	}
	return s.lab
}

// Run runs the tests of a package, then removes the lab if any of them booted
// it, and returns the exit code.
func (s *Shared) Run(m *testing.M) int {
	code := m.Run()
	if err := s.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	return code
}

// Close removes the lab if there is one.
func (s *Shared) Close() error {
	if s.lab == nil {
		return nil
	}
	return s.lab.Close()
}

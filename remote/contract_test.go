package remote

import (
	"testing"
)

func TestSmoke(t *testing.T) {
	onTargets(t, targetOptions{}, func(t *testing.T, host *target) {
		var got collector
		h := host.helper(t, Request{"facts", "plain", []string{"hello"}})
		results, err := h.First(t.Context(), got.each)
		t.Log(results, err, got)
		results, err = h.Do(t.Context(), []Request{{"a", "args", []string{"x", "", "a b\n\n", "$(id)"}}, {"a", "fail", []string{"3"}}, {"a", "noise", nil}, {"b", "noise", nil}}, got.each)
		t.Log(results, err, got)
	})
}

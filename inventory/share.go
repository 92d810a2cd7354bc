package inventory

import (
	"fmt"
	"regexp"
	"strconv"
)

// Share is a number of hosts, absolute or in percent. The zero value is none.
type Share struct {
	Count   int `json:"count,omitempty"`
	Percent int `json:"percent,omitempty"`
}

// Of returns how many of n hosts the share is: at most n, and for a percentage above
// zero at least 1, rounded down. "10%" of 5 hosts is therefore 1.
func (s Share) Of(n int) int {
	if n <= 0 {
		return 0
	}
	if s.Percent > 0 {
		return max(1, min(n, n*s.Percent/100))
	}
	return max(0, min(n, s.Count))
}

// String is the share as the inventory writes it.
func (s Share) String() string {
	if s.Percent > 0 {
		return fmt.Sprintf("%d%%", s.Percent)
	}
	return strconv.Itoa(s.Count)
}

var percentPattern = regexp.MustCompile(`^(100|[1-9]?[0-9])%$`)

// parseShare reads 3 or "25%".
func parseShare(value any) (Share, bool) {
	switch value := value.(type) {
	case int64:
		return Share{Count: int(value)}, value >= 0 && value <= maxHosts
	case string:
		match := percentPattern.FindStringSubmatch(value)
		if match == nil {
			return Share{}, false
		}
		percent, err := strconv.Atoi(match[1])
		return Share{Percent: percent}, err == nil
	}
	return Share{}, false
}

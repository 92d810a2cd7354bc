package inventory

import (
	"sort"
	"strconv"
	"strings"
)

// maxDepth bounds how deep tables and arrays may nest. The TOML library recurses, and
// a file of nothing but brackets would exhaust its stack.
const maxDepth = 32

// place is where a value stands in the file. The TOML library knows the line of a syntax
// error but not that of a value inside arrays of tables, so places are found here, in
// a second reading of a text the library has accepted.
type place struct {
	offset int
	keys   map[string]*place
	items  []*place
}

// key returns the place of a table's key, or nil.
func (p *place) key(name string) *place {
	if p == nil {
		return nil
	}
	return p.keys[name]
}

// item returns the place of an array's element, or nil.
func (p *place) item(index int) *place {
	if p == nil || index >= len(p.items) {
		return nil
	}
	return p.items[index]
}

// inFileOrder returns the keys of values by where they stand.
func (p *place) inFileOrder(values map[string]any) []string {
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	sort.Strings(names)
	offset := func(name string) int {
		if at := p.key(name); at != nil {
			return at.offset
		}
		return -1
	}
	sort.SliceStable(names, func(i, j int) bool { return offset(names[i]) < offset(names[j]) })
	return names
}

// child returns the place of a key, making it at its first mention.
func (p *place) child(name string, offset int) *place {
	if p.keys == nil {
		p.keys = map[string]*place{}
	}
	if p.keys[name] == nil {
		p.keys[name] = &place{offset: offset}
	}
	return p.keys[name]
}

// last is where the keys below an array of tables go: its newest element.
func (p *place) last() *place {
	if len(p.items) > 0 {
		return p.items[len(p.items)-1]
	}
	return p
}

// placer walks TOML text. On text that is not TOML it stops early and never fails:
// the library has the say about syntax.
type placer struct {
	text    string
	at      int
	tooDeep int // line of the first nesting beyond maxDepth, or 0
}

// places returns the places of all values, and the line where nesting went too deep, or 0.
func places(text string) (*place, int) {
	p := &placer{text: text}
	root := &place{}
	current := root
	for p.skip(" \t\r\n"); p.at < len(p.text) && p.tooDeep == 0; p.skip(" \t\r\n") {
		var ok bool
		if p.peek('[') {
			current, ok = p.header(root)
		} else {
			ok = p.pair(current, 0)
		}
		if !ok {
			break
		}
	}
	return root, p.tooDeep
}

// header reads [a.b] or [[a.b]] and returns the table it opens.
func (p *placer) header(root *place) (*place, bool) {
	start := p.at
	p.at++
	array := p.peek('[')
	if array {
		p.at++
	}
	names, ok := p.key()
	if !ok || !p.peek(']') {
		return root, false
	}
	p.at++
	if array {
		if !p.peek(']') {
			return root, false
		}
		p.at++
	}
	table := root
	for i, name := range names {
		table = table.child(name, start)
		if i < len(names)-1 || !array {
			table = table.last()
		}
	}
	if array {
		table.items = append(table.items, &place{offset: start})
		table = table.last()
	}
	return table, true
}

// pair reads key = value into table.
func (p *placer) pair(table *place, depth int) bool {
	start := p.at
	names, ok := p.key()
	if !ok || !p.peek('=') {
		return false
	}
	p.at++
	for _, name := range names {
		table = table.last().child(name, start)
	}
	p.skip(" \t")
	return p.value(table, depth+1)
}

// key reads a dotted key with the blanks around it.
func (p *placer) key() ([]string, bool) {
	var names []string
	for {
		p.skip(" \t")
		name, ok := p.keyPart()
		if !ok {
			return nil, false
		}
		names = append(names, name)
		if len(names) > maxDepth {
			return nil, p.deep()
		}
		p.skip(" \t")
		if !p.peek('.') {
			return names, true
		}
		p.at++
	}
}

func (p *placer) keyPart() (string, bool) {
	start := p.at
	if p.peek('"') || p.peek('\'') {
		if !p.quoted() {
			return "", false
		}
		return unquoteKey(p.text[start:p.at]), true
	}
	for p.at < len(p.text) && !strings.ContainsRune(" \t\r\n.=[]{}\"'#,", rune(p.text[p.at])) {
		p.at++
	}
	return p.text[start:p.at], p.at > start
}

func unquoteKey(raw string) string {
	inner := raw[1 : len(raw)-1]
	if raw[0] == '"' {
		if name, err := strconv.Unquote(raw); err == nil {
			return name
		}
	}
	return inner
}

// value reads any value; what stands inside it is placed below at.
func (p *placer) value(at *place, depth int) bool {
	if depth > maxDepth {
		return p.deep()
	}
	switch {
	case p.peek('['):
		return p.array(at, depth)
	case p.peek('{'):
		return p.inline(at, depth)
	case p.peek('"'), p.peek('\''):
		return p.quoted()
	}
	start := p.at
	for p.at < len(p.text) && !strings.ContainsRune(",]}#\r\n", rune(p.text[p.at])) {
		p.at++
	}
	return p.at > start
}

func (p *placer) array(at *place, depth int) bool {
	p.at++
	for {
		p.skip(" \t\r\n,")
		if p.at >= len(p.text) {
			return false
		}
		if p.peek(']') {
			p.at++
			return true
		}
		item := &place{offset: p.at}
		at.items = append(at.items, item)
		if !p.value(item, depth+1) {
			return false
		}
	}
}

func (p *placer) inline(at *place, depth int) bool {
	p.at++
	for {
		p.skip(" \t\r\n,")
		if p.at >= len(p.text) {
			return false
		}
		if p.peek('}') {
			p.at++
			return true
		}
		if !p.pair(at, depth) {
			return false
		}
	}
}

// quoted skips a string of any of the four kinds.
func (p *placer) quoted() bool {
	quote := p.text[p.at : p.at+1]
	if triple := strings.Repeat(quote, 3); strings.HasPrefix(p.text[p.at:], triple) {
		return p.until(triple)
	}
	return p.until(quote)
}

// until skips past the closing quote. A basic string may escape it, and a multi-line
// one may end in up to two quotes of its own.
func (p *placer) until(quote string) bool {
	for p.at += len(quote); p.at < len(p.text); p.at++ {
		if quote[0] == '"' && p.peek('\\') {
			p.at++
			continue
		}
		if !strings.HasPrefix(p.text[p.at:], quote) {
			continue
		}
		p.at += len(quote)
		for extra := 0; len(quote) == 3 && extra < 2 && p.peek(quote[0]); extra++ {
			p.at++
		}
		return true
	}
	return false
}

// skip passes over the given characters and, where lines may end, over comments.
func (p *placer) skip(blanks string) {
	for p.at < len(p.text) {
		switch {
		case strings.IndexByte(blanks, p.text[p.at]) >= 0:
			p.at++
		case p.peek('#') && strings.Contains(blanks, "\n"):
			end := strings.IndexByte(p.text[p.at:], '\n')
			if end < 0 {
				end = len(p.text) - p.at
			}
			p.at += end
		default:
			return
		}
	}
}

func (p *placer) peek(char byte) bool { return p.at < len(p.text) && p.text[p.at] == char }

func (p *placer) deep() bool {
	p.tooDeep = lineAt(p.text, p.at)
	return false
}

func lineAt(text string, offset int) int {
	return 1 + strings.Count(text[:min(max(offset, 0), len(text))], "\n")
}

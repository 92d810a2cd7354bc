// Package remote holds one SSH connection to a host and the helper that runs there.
//
// A [Dialer] connects: it resolves the host with the person's own ssh configuration, checks the host key strictly, logs in
// with keys only, and says in a typed [*Error] what is wrong and what to do. A [Conn] is that connection. A [Helper] is a
// small POSIX shell program on one of its channels, sent whole in the command string, running as root; it takes batches of
// [Request] and answers with [Reply] lines. No byte that comes from an inventory is ever read by a shell as program text.
//
// Two rules hold everywhere. Everything has a deadline: a host that accepts connections and says nothing, or a helper that
// never gets ready, is an error in bounded time. And a talk that breaks off is [ErrLost], outcome unknown, never a failure:
// the host finishes what it was doing, and only a look at the host can tell.
package remote

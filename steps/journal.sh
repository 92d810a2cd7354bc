# journal: the last lines of one start of each unit only: what the unit wrote, and what systemd wrote about it.

verb_journal() { # LINES (UNIT INVOCATION|-)...
	lines=$1
	shift
	while [ $# -gt 1 ]; do
		invocation=$2
		if [ "$invocation" = - ]; then
			show "$1"
			invocation=$InvocationID
		fi
		[ -z "$invocation" ] || say64 journal "$1
$(timeout -k 5 20 journalctl -q --no-pager -o short-iso -n "$lines" \
			_SYSTEMD_INVOCATION_ID="$invocation" + INVOCATION_ID="$invocation" 2>/dev/null | tail -c 65536)"
		shift 2
	done
}

# The journal of the units across starts: the last lines, or what came after a cursor. The first page of it; the caller
# asks for the rest with the cursor of the last entry that is whole.
verb_logs() { # LINES CURSOR whole|- BYTES UNIT...
	lines=$1 cursor=$2 whole=$3 page=$4
	shift 4
	for unit in "$@"; do set -- "$@" -u "$unit" && shift; done
	if [ -n "$cursor" ]; then
		set -- --after-cursor="$cursor" "$@"
	else
		set -- -n "$lines" "$@"
	fi
	[ "$whole" = - ] || set -- -a "$@"
	say64 logs "$(timeout -k 5 20 journalctl -q --no-pager -o json \
		--output-fields=MESSAGE,SYSLOG_IDENTIFIER,_COMM,_PID,UNIT,_SYSTEMD_UNIT "$@" 2>/dev/null | head -c "$page")"
}

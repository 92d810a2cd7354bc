# lint: has systemd check units under their real names and with the host's drop-ins, which only the host can do.

# verb_lint leaves no file behind, not even when it is killed: they are on a file system that only this process sees.
verb_lint() { # (PATH CONTENT)...
	unshare --mount --propagation private true 2>/dev/null || {
		say lint "not linted now: a mount namespace is not to be had on this host; deploy lints"
		return 0
	}
	unshare --mount --propagation private /bin/sh -c "$SEATRIAL_PROGRAM" seatrial @run lint_apart "$service" "$@"
}

verb_lint_apart() { # (PATH CONTENT)...
	mount -t tmpfs -o size=16m tmpfs /dev/shm || die 20 "cannot mount a file system to lint in"
	while [ $# -gt 1 ]; do
		case $1 in "$ETC"/*) printf '%s' "$2" >"/dev/shm/${1##*/}" || die 78 "cannot write $1 to be linted" ;; esac
		shift 2
	done
	lint /dev/shm
}

lint() { # DIR of the units
	have systemd-analyze || { say lint "skipped: there is no systemd-analyze on this host" && return 0; }
	lint=$(timeout -k 5 60 systemd-analyze --man=no verify "$1"/* 2>&1)
	status=$?
	printf '%s\n' "$lint" | while read -r line; do
		case $line in *"$1/"*) say lint "${line#*"$1/"}" ;; *) [ "$status" = 0 ] || [ -z "$line" ] || say lint "$line" ;; esac
	done
	[ "$status" = 0 ] || die 10 "systemd-analyze verify refuses the unit"
}

# health-check: one check of the inventory. A command gets the environment that a systemd service gets, not ours.

verb_check() { # SEVERITY KIND TIMEOUT USER DIRECTORY WORD...
	severity=$1 kind=$2 limit=$3 user=$4 directory=$5
	shift 5
	case $kind in
	directory) [ -d "$1" ] || failed_check "$1 is not a directory on this host" ;;
	file) [ -f "$1" ] || failed_check "$1 is not a file on this host" ;;
	executable) { [ -f "$1" ] && [ -x "$1" ]; } || failed_check "$1 is not an executable file on this host" ;;
	command) check_command "$@" ;;
	esac
	say result passed
}

failed_check() {
	say64 output "$*"
	if [ "$severity" = warning ]; then
		say result warning
		exit 0
	fi
	say result failed
	exit 10
}

# Only the last 16 KiB of the output are kept, and the exit status travels as its last line. A process that
# outlives the command and holds its output open cannot hold us.
check_command() {
	cd "${directory:-/}" || failed_check "the working directory $directory does not exist"
	home=/
	if [ -n "$user" ]; then
		id -u "$user" >/dev/null 2>&1 || failed_check "there is no user $user on this host"
		IFS=: read -r _ _ _ _ _ home _ <<END
$(getent passwd "$user")
END
		set -- USER="$user" LOGNAME="$user" "$@"
	fi
	set -- env -i PATH="$PATH" LANG=C.UTF-8 HOME="$home" "$@"
	[ -z "$user" ] || set -- setpriv --reuid="$user" --regid="$(id -g "$user")" --init-groups -- "$@"
	output=$({
		timeout -k 5 "$limit" "$@"
		printf '\nstatus=%s' "$?"
	} 2>&1 | timeout -k 1 "$((limit + 10))" tail -c 16384)
	status=${output##*status=}
	output=${output%
status=*}
	case $status in
	0) [ -z "$output" ] || say64 output "$output" ;;
	124 | 137) failed_check "$output
did not end within $limit s" ;;
	'' | *[!0-9]*) failed_check "a process that the command left behind holds its output open" ;;
	*) failed_check "$output
exit status $status" ;;
	esac
}

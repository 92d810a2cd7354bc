# start: restarts the units without waiting. That systemctl returns 0 means nothing: settle looks.

verb_start() { # TOKEN
	fence "$1"
	case $state in TRIAL | LOCKED) ;; *) die 79 "cannot start now: $state" ;; esac
	! lease_over || die 79 "the lease has ended"
	runs=$(printf '%s' "$runs" | while read -r unit file _ active enabled; do
		show "$unit"
		printf '%s\n' "$unit $file ${InvocationID:--} $active $enabled"
	done)
	runs="$runs
"
	save "$state" # the old invocation: whatever differs from it is the start that we caused
	units=$(unit_names)
	# shellcheck disable=SC2086 # a list of names
	sc reset-failed -- $units 2>/dev/null # or NRestarts goes on counting from before
	# shellcheck disable=SC2086
	restart_units $units || die 10 "systemd refused to restart $units"
}

# restart_units UNIT...: and what else ran, if there is a socket: systemd refuses to start one while its service runs, and
# restarts one unit after the other. So all are stopped before any is started.
restart_units() {
	case $(unit_names) in
	*".socket "*)
		# shellcheck disable=SC2046 # a list of names
		sc stop -- $(unit_names) 2>/dev/null
		# shellcheck disable=SC2086
		sc --no-block start -- ${ran:-"$@"}
		;;
	*) sc --no-block restart -- "$@" ;;
	esac
}

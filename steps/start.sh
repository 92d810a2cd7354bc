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
	sc --no-block restart -- $units || die 10 "systemd refused to restart $units"
}

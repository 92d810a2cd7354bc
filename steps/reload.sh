# reload: daemon-reload, and the proof that systemd loaded the trial: a reload can report success and have failed.

verb_reload() { # TOKEN
	fence "$1"
	[ "$state" = TRIAL ] || die 79 "cannot reload now: $state"
	insist sc daemon-reload || die 20 "daemon-reload was refused"
	while read -r unit file _; do
		[ -n "$unit" ] || continue
		show "$unit"
		[ "$LoadState" = loaded ] || die 10 "systemd cannot load $unit: $LoadState"
		[ "$FragmentPath" = "$TRIAL/${file##*/}" ] || die 20 "systemd loaded $unit from $FragmentPath, not from $TRIAL"
	done <<END
$runs
END
}

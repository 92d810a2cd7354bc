# trial: the new units where systemd prefers them and a reboot forgets them. The record is written first.

verb_trial() { # TOKEN
	fence "$1"
	[ "$state" = ARMED ] || die 79 "cannot begin the trial now: $state"
	! lease_over || die 79 "the lease has ended"
	save TRIAL
	mkdir -p "$TRIAL"
	printf '%s' "$files" | while read -r path _ new; do
		case $path in "$ETC"/*) ;; *) continue ;; esac
		name=${path##*/}
		cp "$(stage_of "$path")" "$TRIAL/.seatrial-$name.tmp" && chmod 644 "$TRIAL/.seatrial-$name.tmp" &&
			[ "$(digest "$TRIAL/.seatrial-$name.tmp")" = "$new" ] || exit 1
		! have restorecon || chcon --reference="$ETC" "$TRIAL/.seatrial-$name.tmp" 2>/dev/null
		mv -fT "$TRIAL/.seatrial-$name.tmp" "$TRIAL/$name" || exit 1
	done || die 78 "cannot write the trial to $TRIAL (is /run full?)"
}

remove_trial() {
	printf '%s' "$files" | while read -r path _; do
		case $path in "$ETC"/*) rm -f "$TRIAL/${path##*/}" "$TRIAL/.seatrial-${path##*/}.tmp" ;; esac
	done
	rmdir "$TRIAL" 2>/dev/null
	return 0
}

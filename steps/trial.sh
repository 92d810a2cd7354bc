# trial: the new units where systemd prefers them and a reboot forgets them. The record is written first.

verb_trial() { # TOKEN
	fence "$1"
	[ "$state" = STAGED ] || die 79 "cannot begin the trial now: $state"
	! lease_over || die 79 "the lease has ended"
	save TRIAL
	while read -r path _ new; do
		case $path in "$ETC"/*) try_file "${path##*/}" "$new" || die 78 "cannot write the trial to $TRIAL (is /run full?)" ;; esac
	done <<END
$files
END
}

try_file() { # NAME DIGEST
	for _ in 1 2 3; do # another service's trial may end just now, and take the empty directory away
		(umask 022 && mkdir -p "$TRIAL") && cp "$(stage_of "$ETC/$1")" "$TRIAL/.seatrial-$1.tmp" && break
	done
	chmod 644 "$TRIAL/.seatrial-$1.tmp" || return 1
	[ "$(digest "$TRIAL/.seatrial-$1.tmp")" = "$2" ] || return 1
	! have restorecon || chcon --reference="$ETC" "$TRIAL/.seatrial-$1.tmp" 2>/dev/null
	mv -fT "$TRIAL/.seatrial-$1.tmp" "$TRIAL/$1"
}

remove_trial() {
	printf '%s' "$files" | while read -r path _; do
		case $path in "$ETC"/*) rm -f "$TRIAL/${path##*/}" "$TRIAL/.seatrial-${path##*/}.tmp" ;; esac
	done
	rmdir "$TRIAL" 2>/dev/null
	return 0
}

# rollback: back to exactly what was there before the transaction, whatever state it is in. `recover` is a total
# function of the record, the boot and the files, so that anyone may call it at any time: the controller, the guard
# when the lease has ended, or the next run.

verb_rollback() { # TOKEN REASON
	fence "$1"
	reason=$2
	undo=''
	case $state in
	REVERTED) # the guard was faster
		healthy=yes
		await_units
		strangers
		say state REVERTED
		[ -n "$healthy" ] || exit 11
		return 0
		;;
	COMMITTED) # this run committed here, and the fleet goes back
		undo=yes
		boot
		booted=$boot
		# another guard, for the case that this dies. Without one the next contact does the rest
		mkdir -p "$R" && chmod 700 "$R" && set_deadline 30 && put_guard && insist start_guard "$token" 2>/dev/null
		reserve || rm -f "$S/reserve"
		save REVERTING
		arm_boot || disarm_boot
		;;
	esac
	recover "$reason"
}

recover() { # REASON; status 11: back on the old unit, which is not healthy
	unfinished || return 0
	boot
	if [ "$state" = COMMITTING ] && any_renamed; then
		roll_forward || die 20 "the commit that was begun cannot be finished: $trouble"
		return 0
	fi
	dirty=''
	case $state in TRIAL | COMMITTING | REVERTING) [ "$booted" != "$boot" ] || dirty=yes ;; esac
	case $state in
	LOCKED | STAGED | ARMED) ;;
	*) save REVERTING ;;
	esac
	restore_files
	healthy=yes
	if [ -n "$dirty" ]; then
		revert_units
	elif [ "$state/$verb" = REVERTING/rollback ]; then
		await_units # the boot brought the old ones back, or did it?
	elif [ "$state/$verb" = LOCKED/rollback ] && ! changes && disturbed; then
		await_units # nothing is to be put back, but does it run?
	fi
	[ -z "$dirty" ] || strangers
	[ -z "$dirty" ] || ! changes || { remember rolled-back && prune; }
	finish REVERTED
	[ -n "$healthy" ] || return 11
}

changes() { # does the transaction change any file?
	while read -r _ old new; do
		[ "$old" = "$new" ] || return 0
	done <<END
$files
END
	return 1
}

disturbed() { # is any unit not as the record has it?
	while read -r unit _ before was _; do
		[ -n "$unit" ] || continue
		show "$unit"
		[ "${InvocationID:--}/$ActiveState/$Job" = "$before/$was/" ] || return 0
	done <<END
$runs
END
	return 1
}

any_renamed() {
	renamed=no
	while read -r path old new; do
		[ -n "$path" ] || continue
		if [ "$old" != "$new" ] && [ "$(digest "$path")" = "$new" ]; then renamed=yes; fi
	done <<END
$files
END
	[ "$renamed" = yes ]
}

# The files as they were; a difference makes the units dirty. Units of a first install are stopped while systemd
# still knows them.
restore_files() {
	while read -r path old new; do
		[ -n "$path" ] || continue
		case $path in "$ETC"/*) [ ! -e "$TRIAL/${path##*/}" ] || dirty=yes ;; esac
		found=$(digest "$path")
		[ "$found" != "$old" ] || [ -n "${undo-}" ] || renamed_same "$path" || continue
		[ "$found" = "$old" ] || [ "$found" = "$new" ] || continue # somebody else's, and left alone; see strangers
		dirty=yes
		if [ "$old" = none ]; then
			stop_units_of "$path"
			rm -f "$path"
		else
			cp -p "$S/prev/${path##*/}" "$path.seatrial" && sync "$path.seatrial" && mv -fT "$path.seatrial" "$path" ||
				die 20 "cannot put the old $path back (file system full or read-only?)"
		fi
		sync "${path%/*}"
	done <<END
$files
END
	while read -r path old _; do
		[ -z "$path" ] || [ "$old" != none ] || [ -z "$dirty" ] || stop_units_of "$path"
	done <<END
$files
END
	remove_trial
}

# What is put back and is not as it was, somebody else has changed meanwhile: a person must look.
strangers() {
	while read -r path old _; do
		[ -z "$path" ] || [ "$(digest "$path")" = "$old" ] && continue
		healthy=''
		say unhealthy "$path was changed by somebody else, and is left as it is"
	done <<END
$files
END
}

# renamed_same FILE: only its mode or owner was to change, and that has happened. Its stage is gone, so it was renamed.
renamed_same() { [ "$state/$old" = "REVERTING/$new" ] && [ "$old" != none ] && [ ! -e "$(stage_of "$1")" ]; }

stop_units_of() { # FILE
	while read -r unit file _ _ enabled; do
		[ -n "$unit" ] && [ "$file" = "$1" ] || continue
		# once its file is gone systemd forgets how to end what still runs
		sc stop -- "$unit" 2>/dev/null || sc stop -- "$unit" 2>/dev/null || {
			sc kill -s KILL -- "$unit" 2>/dev/null
			sc stop -- "$unit" 2>/dev/null
		}
		[ "$enabled" != - ] || [ ! -f "$1" ] || sc --no-reload disable -- "$unit" >/dev/null 2>&1
	done <<END
$runs
END
}

revert_units() {
	insist sc daemon-reload || die 20 "daemon-reload was refused while rolling back"
	# shellcheck disable=SC2046 # a list of names
	sc reset-failed -- $(unit_names) 2>/dev/null
	ran='' again='' rest=''
	while read -r unit _ before was _; do
		[ -n "$unit" ] || continue
		show "$unit"
		case $was in
		active | reloading | activating)
			ran="$ran$unit "
			# the old process is still there if the new unit was never started
			[ "${InvocationID:--}/$ActiveState/$Job" = "$before/active/" ] || again="$again$unit "
			;;
		*) [ "$LoadState" = not-found ] || rest="$rest$unit " ;;
		esac
	done <<END
$runs
END
	# shellcheck disable=SC2086 # lists of names
	{
		[ -z "$again" ] || insist restart_units $again
		[ -z "$rest" ] || sc stop -- $rest 2>/dev/null
	}
	await_units
}

# What ran before must settle again, all units at once: active within 30 s, and then undisturbed for the window. As long
# as systemd is at work on a job (the new unit stops slowly, the old one starts slowly) it is given as long as a
# unit may take to start, at least 100 s.
await_units() {
	now
	began=$now steady='' settled=''
	while look_back; do
		now
		[ -n "$trouble$ran" ] || break
		if [ -n "$trouble" ]; then
			steady='' settled=''
			[ "$((now - began))" -lt "${busy:-30}" ] || break
		else
			[ -n "$steady" ] || steady=$now
			[ "$((now - steady))" -lt "${window:-15}" ] || break
		fi
		sleep 1
	done
	[ -z "$trouble" ] || {
		healthy=''
		say unhealthy "$trouble"
	}
	while read -r unit _; do
		[ -n "$unit" ] || continue
		show "$unit"
		say unit "$unit is $ActiveState/$SubState"
	done <<END
$runs
END
}

# look_back sets trouble to what is not as it should be; 1: waiting longer will not help
look_back() {
	trouble='' ran='' busy=''
	while read -r unit _ _ was _; do
		[ -n "$unit" ] || continue
		show "$unit"
		case $was in
		active | reloading | activating) ran=yes ;;
		*)
			[ "$ActiveState" != deactivating ] || trouble="the new $unit does not stop: $(how_it_ended)" busy=$patience
			continue
			;;
		esac
		[ -z "$Job" ] || busy=$patience
		case $ActiveState/$SubState/$Job in
		active/*/ | reloading/*/) # and no job is waiting
			case $settled in
			*" $unit $InvocationID "*) ;;
			*" $unit "*) trouble="$unit does not stay up: $(how_it_ended)" && return 1 ;;
			*) settled="$settled $unit $InvocationID " ;;
			esac
			;;
		failed/*/ | */*auto-restart*/)
			trouble="$unit does not run: $(how_it_ended)"
			[ "$((now - began))" -lt 2 ] || return 1 # the restart has had its turn
			;;
		*) trouble="$unit does not run: $(how_it_ended)" ;;
		esac
	done <<END
$runs
END
	return 0
}

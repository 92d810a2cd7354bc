# settle: the start that we caused must reach `active` and stay there, in one invocation and without a restart,
# for the whole window. Changes nothing; holds no lock, so the lease can be renewed and the trial called off. What has
# settled is noted for those that come after.

verb_settle() { # TOKEN WINDOW START_TIMEOUT
	fence "$1"
	case $state in TRIAL | LOCKED) ;; *) die 79 "the trial was ended: $state" ;; esac
	began_in=$state settled='' noted='' vanished=0 silent=0
	now
	begin=$now active_since=''
	while :; do
		load
		now
		[ "$state" = "$began_in" ] && [ "$token" = "$1" ] || die 79 "the trial was ended: $state"
		waiting=''
		while read -r unit _ before _; do
			[ -n "$unit" ] || continue
			settle_look "$unit" "$before"
		done <<END
$runs
END
		if [ -n "$waiting" ]; then
			active_since=''
			[ $((now - begin)) -lt "$3" ] || die 10 "$waiting did not become active within $3 s"
		else
			[ -n "$active_since" ] || { active_since=$now && say progress "active after $((now - begin)) s"; }
			[ $((now - active_since)) -lt "$2" ] || break
		fi
		sleep 1
	done
	printf '%s\n' "$settled" >"$R/settled" || die 78 "cannot write to $R (is /run full?)"
	say changed "stable for $2 s"
}

# has_settled UNIT, after show: is this the start that settled? (A oneshot that has ended is none that runs.)
has_settled() {
	settled=''
	[ ! -f "$R/settled" ] || read -r settled <"$R/settled"
	case " $settled " in *" $1 $InvocationID "*) return 0 ;; esac
	[ "$Type/$ActiveState/$Result" = oneshot/inactive/success ]
}

settle_look() { # UNIT INVOCATION_BEFORE
	show "$1"
	if [ -z "$LoadState" ]; then # PID 1 is busy with itself: nothing was seen, good or bad
		silent=$((silent + 1))
		[ "$silent" -le 10 ] || die 20 "systemd does not say how $1 is"
		case $settled in *" $1 "*) ;; *) waiting="$1 (systemd does not answer)" ;; esac
		return
	fi
	seen="${InvocationID:--}"
	if [ "$seen" = "$2" ] || [ "$seen" = - ]; then
		# systemd forgets a oneshot that nothing refers to. In a trial the guard does.
		if [ "$state/$seen/$ActiveState/$Job" = LOCKED/-/inactive/ ] && [ "$Type/$Result" = oneshot/success ]; then return; fi
		[ -n "$Job" ] || vanished=$((vanished + 1))
		[ "$vanished" -le 5 ] || die 10 "$1 was not started: $(how_it_ended) (did something that it requires fail?)"
		waiting="$1 ($ActiveState/$SubState)"
		return
	fi
	case $noted in
	*" $1 "*) ;;
	*) noted="$noted $1 " && say invocation "$1 $seen" ;; # whose journal lines belong to this start
	esac
	case $ActiveState/$SubState in
	*/*auto-restart*) die 10 "$1 died $((now - begin)) s after the start and is being restarted: $(how_it_ended)" ;;
	failed/*) die 10 "$1 failed $((now - begin)) s after the start: $(how_it_ended)" ;;
	inactive/*)
		if [ "$Type" = oneshot ] && [ "$Result" = success ]; then return; fi
		[ -n "$Job" ] || die 10 "$1 ended $((now - begin)) s after the start: $(how_it_ended)"
		waiting="$1 ($ActiveState/$SubState)"
		;;
	active/* | reloading/*)
		[ "${NRestarts:-0}" = 0 ] || die 10 "$1 died and was restarted within $((now - begin)) s of the start: $(how_it_ended)"
		case $settled in
		*" $1 $InvocationID "*) ;;
		*" $1 "*) die 10 "$1 was restarted behind our back within $((now - begin)) s" ;;
		*) settled="$settled $1 $InvocationID " ;;
		esac
		;;
	*) waiting="$1 ($ActiveState/$SubState)" ;;
	esac
}

# guard: the dead-man's switch. A service of PID 1's own, so it outlives SSH, daemon-reload and KillUserProcesses.
# It undoes the transaction when the lease ends, whoever died. Not a timer: each daemon-reload would restart the timer.

verb_guard() { # TOKEN LEASE
	fence "$1"
	[ "$state" = LOCKED ] || die 79 "cannot arm the guard now: $state"
	! lease_over || die 79 "the lease has ended"
	set_deadline "$2"
	put_guard || die 78 "cannot write to $R (is /run full?)"
	refusal=$(insist start_guard "$1" 2>&1) || die 20 "systemd-run could not start the guard: ${refusal##*"$seatrial_newline"}"
	insist sc -q is-active -- "seatrial-guard-$1.service" || die 20 "the guard does not run"
	save ARMED
}

put_guard() { printf '%s\n' "$SEATRIAL_PROGRAM" >"$R/guard.sh"; }

# PropagatesReloadTo does nothing but refer to the units: systemd must not forget how a oneshot ended. The command has no $ and
# no quotes, which systemd 252 does not read back as it wrote them down, at a daemon-reload. Without its file, all is done.
start_guard() { # TOKEN; also good when it was started and the answer was lost
	timeout -k 5 60 systemd-run --quiet --collect --unit="seatrial-guard-$1" -p PropagatesReloadTo="$(unit_names)" -p Restart=on-failure -p RestartSec=1 \
		-p StartLimitIntervalSec=0 -p OOMScoreAdjust=-900 -p Description="seatrial guard of $service" \
		/bin/sh -c "[ ! -e $R/guard.sh ] || exec /bin/sh $R/guard.sh @guard $service $1" </dev/null || sc -q is-active -- "seatrial-guard-$1.service"
}

# The guard itself. It never decides alone: verb_expire reads record and lease again under the lock.
guard() { # SERVICE TOKEN
	SEATRIAL_PROGRAM=$(cat "$0")
	export SEATRIAL_PROGRAM
	use_service "$1"
	mine=$2 # a trap may run inside a function, which has arguments of its own
	trap 'load; [ "$token" = "$mine" ] && case $state in TRIAL | COMMITTING | REVERTING) remove_trial ;; esac; exit 0' TERM # shutdown, soft reboot
	while :; do
		load
		[ "$token" = "$2" ] || exit 0
		if lease_over; then
			flock -E 75 -w 60 "$S/lock" /bin/sh -c "$SEATRIAL_PROGRAM" seatrial @run expire "$service" "$2" && exit 0
			sleep 1 # /run full, reload refused: try for ever
		fi
		sleep 1
	done
}

verb_expire() { # TOKEN; 1: there is nothing to do yet, the guard goes on
	load
	[ "$token" = "$1" ] || exit 1
	lease_over || exit 1
	unfinished || { rm -rf "$R" "$S/reserve" && exit 0; } # an end without its last command, or an undo without its record
	by_guard=yes
	recover "the lease ended" || [ "$state" = REVERTED ]
}

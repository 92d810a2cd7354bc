# verify: each unit is active in the invocation that settled, and each address is listened on by a process of the
# service's own units. (The HTTP checks are asked by the controller, through the connection.)

verb_verify() { # TOKEN|- TIMEOUT UNIT,UNIT... ADDRESS...
	limit=$2 units=$(printf '%s' "$3" | tr ',' ' ') ours=$1
	[ "$1" = - ] || fence "$1"
	shift 3
	for unit in $units; do verify_unit "$unit"; done
	now
	begin=$now
	for address in "$@"; do
		until listening "$address"; do
			now
			[ $((now - begin)) -lt "$limit" ] || die 10 "$(not_listening "$address")"
			sleep 1
			for unit in $units; do verify_unit "$unit"; done
		done
		say changed "$unit listens on $address"
	done
}

verify_unit() {
	show "$1"
	if [ "$Type" = oneshot ] && [ "$ActiveState" = inactive ] && [ "$Result" = success ]; then return; fi
	is_active || die 10 "$1 is not active: $(how_it_ended)"
	[ "$ours" = - ] || has_settled "$1" || die 10 "$1 was restarted after it had settled: $(how_it_ended)"
	say unit "$1 $ActiveState/$SubState $InvocationID"
}

# listening IP:PORT: sets pid and unit. The kernel's tables say who: socket -> inode -> file descriptor -> cgroup.
listening() {
	wanted_port=$(printf '%04X' "${1##*:}")
	wanted_ip=$(hex_ip "${1%:*}")
	for unit in $units; do
		show "$unit"
		net=/proc/$MainPID/net # the unit's own network namespace
		[ "$MainPID" != 0 ] && [ -r "$net/tcp" ] || net=/proc/net
		inodes=$(listeners "$net")
		[ -n "$inodes" ] || continue
		for pid in $(unit_pids "$ControlGroup"); do
			sockets=$(ls -l "/proc/$pid/fd" 2>/dev/null)
			for inode in $inodes; do
				case $sockets in *"socket:[$inode]"*) return 0 ;; esac
			done
		done
	done
	return 1
}

hex_ip() { # 127.0.0.1 -> 0100007F, as the kernel prints it on little-endian machines; empty: any address
	case $1 in
	*[!0-9.]* | '' | 0.0.0.0) ;;
	*)
		IFS=. read -r a b c d <<END
$1
END
		printf '%02X%02X%02X%02X\n' "$d" "$c" "$b" "$a"
		;;
	esac
}

listeners() { # DIR: inodes of the sockets that listen on the wanted address, or on all addresses
	for table in "$1/tcp" "$1/tcp6"; do
		[ -r "$table" ] || continue
		while read -r _ bound _ socket_state _ _ _ _ _ inode _; do
			[ "$socket_state" = 0A ] && [ "${bound##*:}" = "$wanted_port" ] || continue
			case ${bound%:*} in
			"$wanted_ip" | 00000000 | 00000000000000000000000000000000 | 0000000000000000FFFF0000"$wanted_ip") printf '%s\n' "$inode" ;;
			*) [ -n "$wanted_ip" ] || printf '%s\n' "$inode" ;;
			esac
		done <"$table"
	done
}

unit_pids() { # CONTROL GROUP
	for root in /sys/fs/cgroup /sys/fs/cgroup/systemd /sys/fs/cgroup/unified; do
		[ -n "$1" ] && [ -f "$root$1/cgroup.procs" ] || continue
		cat "$root$1/cgroup.procs" "$root$1"/*/cgroup.procs "$root$1"/*/*/cgroup.procs 2>/dev/null
		return
	done
}

not_listening() { # IP:PORT: who has it instead?
	inodes=$(listeners /proc/net)
	[ -n "$inodes" ] || {
		printf 'nothing listens on %s after %s s\n' "$1" "$limit"
		return
	}
	for fd in /proc/[0-9]*/fd; do
		sockets=$(ls -l "$fd" 2>/dev/null)
		for inode in $inodes; do
			case $sockets in *"socket:[$inode]"*)
				pid=${fd#/proc/} pid=${pid%/fd}
				printf '%s is held by another process: pid %s (%s), not by a process of %s\n' "$1" "$pid" "$(cat "/proc/$pid/comm" 2>/dev/null)" "$units"
				return
				;;
			esac
		done
	done
	printf '%s is held by another process, not by one of %s\n' "$1" "$units"
}

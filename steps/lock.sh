# lock: takes the lease of this service on this host, for one run. What an earlier, dead run left is undone first.

verb_lock() { # TOKEN LEASE WINDOW PATIENCE RELEASE PREVIOUS OWNER SINCE LABEL PLAN ITEM...: file=PATH OLD NEW | run=UNIT FILE
	load
	refuse_held
	if unfinished; then
		boot
		if [ "$token" != "$1" ] && [ "$booted" = "$boot" ] && ! lease_over; then
			die 75 "locked by $owner, since $since, for release $release ($state); the lease ends in $((deadline - now)) s unless it is renewed"
		fi
		recover "what was left of release $release"
	fi
	boot
	token=$1 booted=$boot window=$3 patience=$4 release=$5 previous=$6 owner=$7 since=$8 label=$9 files='' runs=''
	lease=$2
	shift 9
	plan=$1
	shift
	for item in "$@"; do
		case $item in
		file=*) read_words "${item#file=}" && lock_file "$word1" "$word2" "$word3" ;;
		run=*) read_words "${item#run=}" && lock_run "$word1" "$word2" ;;
		esac
	done
	reserve || die 78 "cannot write to $S (file system full or read-only?)"
	save LOCKED
	# only now, so that whatever is in /run belongs to a record, and goes with it
	{ mkdir -p "$R" && chmod 700 /run/seatrial "$R" && set_deadline "$lease"; } || {
		finish RELEASED
		die 78 "cannot write $R/deadline (is /run full?)"
	}
}

read_words() {
	read -r word1 word2 word3 <<END
$1
END
}

lock_file() { # PATH OLD NEW
	[ ! -L "$1" ] || die 78 "$1 is a symlink (a linked unit): seatrial would replace it"
	found=$(digest "$1")
	[ "$found" = "$2" ] || die 77 "$1 changed after the preview: it was $(short "$2"), it is $(short "$found")"
	case $1 in "$ETC"/*) [ ! -e "$TRIAL/${1##*/}" ] || die 78 "$TRIAL/${1##*/} exists and is not ours" ;; esac
	files="$files$1 $2 $3
"
}

lock_run() { # UNIT FILE
	show "$1"
	[ -n "$LoadState" ] || die 20 "systemd does not say how $1 is"
	[ "$LoadState" != masked ] || die 78 "$1 is masked"
	[ "$LoadState/$ActiveState" != not-found/active ] || die 78 "$1 runs, but its unit file is gone: there would be no way back"
	! is_active || [ -z "$FragmentPath" ] || [ -e "$FragmentPath" ] || die 78 "$1 runs, but its unit file is gone: there would be no way back"
	# (a unit that dies again and again has a start job most of the time: the new one is its cure)
	[ -z "$Job" ] || [ "$ActiveState" = activating ] || die 78 "$1 has a job waiting in systemd: somebody else is acting on it"
	runs="$runs$1 $2 ${InvocationID:--} ${ActiveState:--} ${UnitFileState:--}
"
}

short() { case $1 in none) echo absent ;; *) printf '%.8s\n' "$1" ;; esac; }

verb_renew() { # TOKEN LEASE
	fence "$1"
	unfinished || die 79 "there is no lease to renew: $state"
	! lease_over || die 79 "the lease has ended"
	set_deadline "$2"
}

# release: gives the lease back when there is nothing to commit or to undo (restart, a refused preparation)
verb_release() { # TOKEN
	fence "$1"
	case $state in
	LOCKED | STAGED | ARMED) finish RELEASED ;;
	*) unfinished && die 79 "cannot give the lease back now: $state" ;;
	esac
	return 0
}

finish() { # STATE: the transaction is over; only the record and the releases stay
	printf '%s' "$files" | while read -r path _; do rm -f "$(stage_of "$path")" "$(stage_of "$path").tmp"; done
	disarm_boot
	rm -f "$S/reserve" "$S/releases/$release"/*.tmp
	# before the record says that it is over: until then whoever comes by does the rest. A guard comes by also later, and if
	# it is killed it needs its file
	[ -f "$R/guard.sh" ] || rm -rf "$R"
	save "$1"
	[ ! -e "$R" ] || rm -rf "$R"
	say state "$1"
	# the guard ends by itself within a second; when it is the guard that ends the transaction it must not kill itself
	[ -n "${by_guard-}" ] || sc stop --no-block -- "seatrial-guard-$token.service" 2>/dev/null
	return 0
}

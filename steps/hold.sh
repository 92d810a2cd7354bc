# hold: a maintenance lock that a person takes, with a reason. Nothing waits on it and nothing ends it but unlock.
# unlock: takes the maintenance lock away, and with `steal` also the lease of a run; what that run left is undone first.

verb_hold() { # OWNER SINCE MESSAGE
	load
	if unfinished && ! lease_over; then die 75 "locked by $owner, since $since, for release $release ($state)"; fi
	printf 'owner=%s\nsince=%s\nmessage=%s\n' "$1" "$2" "$3" | put "$S/maintenance" ||
		die 78 "cannot write $S/maintenance (file system full or read-only?)"
	say changed "held: $3"
}

verb_unlock() { # TOKEN steal|- OWNER
	load
	if unfinished; then
		if ! lease_over && [ "$2" != steal ]; then
			die 75 "the lease is held by $owner, since $since, for release $release ($state)"
		fi
		holder=$owner
		recover "the lease was taken away by $3" || die 11 "the old unit is back, and does not run"
		did='undid what its run had begun'
		[ "$state" != COMMITTED ] || did='finished the commit that its run had begun'
		token=$1 # fences the run that held it
		save "$state"
		say changed "took the lease away from $holder, and $did"
	fi
	[ ! -f "$S/maintenance" ] || { rm -f "$S/maintenance" && say changed "removed the maintenance lock"; }
}

# refuse_held: a maintenance lock stops every run
refuse_held() {
	[ -f "$S/maintenance" ] || return 0
	held=$(tr '\n' ' ' <"$S/maintenance")
	die 75 "held for maintenance: $held"
}

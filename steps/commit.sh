# commit: the one rename (one for each unit) that makes the new release the installed one.

verb_commit() { # TOKEN
	fence "$1"
	[ "$state" != COMMITTED ] || return 0
	if [ "$state" = COMMITTING ]; then # decided before, and cut short
		roll_forward || die 20 "$trouble"
		return 0
	fi
	[ "$state" = TRIAL ] || die 79 "cannot commit now: $state"
	! lease_over || die 79 "the lease has ended"
	while read -r unit file before _; do
		[ -n "$unit" ] || continue
		show "$unit"
		[ "$FragmentPath" = "$TRIAL/${file##*/}" ] || die 77 "the trial of $unit was ended by somebody else: systemd has it from ${FragmentPath:-nowhere}"
		is_active || [ "$Type/$Result" = oneshot/success ] || die 10 "$unit is no longer active: $(how_it_ended)"
		{ [ "${NRestarts:-0}" = 0 ] && [ "$InvocationID" != "$before" ] && has_settled "$unit"; } || die 10 "$unit was restarted after it had settled: $(how_it_ended)"
	done <<END
$runs
END
	while read -r path old _; do
		[ -z "$path" ] || [ "$(digest "$path")" = "$old" ] || die 77 "$path was changed by somebody else during the trial"
	done <<END
$files
END
	save COMMITTING
	arm_boot || disarm_boot # no room for it: then the next contact does it
	roll_forward || die 20 "$trouble"
}

# From COMMITTING on there is only forward once a file has been renamed; see recover. Sets trouble when it fails.
roll_forward() {
	while read -r path _ new; do
		[ -n "$path" ] || continue
		if [ -f "$(stage_of "$path")" ]; then
			trouble="cannot rename the new $path into place (read-only file system?)"
			mv -fT "$(stage_of "$path")" "$path" && sync "${path%/*}" || return 1
		fi
		[ "$new" != none ] || rm -f "$path"
		trouble="$path is not the new one, and its stage is gone"
		[ "$(digest "$path")" = "$new" ] || return 1
	done <<END
$files
END
	remove_trial
	while read -r unit _ _ _ enabled; do
		# a first install starts at boot, too, if its [Install] section says so
		[ "$enabled" != - ] || sc --no-reload enable -- "$unit" >/dev/null 2>&1
	done <<END
$runs
END
	disarm_boot
	trouble="the new units are in place, but daemon-reload was refused"
	insist sc daemon-reload || return 1 # after enable, or every unit of the host wants another reload
	boot
	[ "$booted" = "$boot" ] || start_committed
	while read -r unit _ _ _ enabled; do
		[ "$enabled" = - ] || continue
		show "$unit"
		[ "$UnitFileState" != enabled ] || say changed "enabled $unit: it starts at boot"
	done <<END
$runs
END
	if keep_found && remember committed; then
		prune
	else
		say changed "no room in $S for the history of releases: it does not have this one"
	fi
	finish COMMITTED
}

# Where a commit, or taking it back, is more than one rename, a power loss in its middle would leave half a release until
# somebody comes by. There the boot itself finishes it, with a unit that exists only as long as this takes.
arm_boot() {
	needs_boot || return 0
	printf '[Unit]\nDescription=seatrial finishes the commit of %s\n[Service]\nType=oneshot\nExecStart=/bin/sh -c "%s"\n' "$service" \
		"exec flock -w 90 $S/lock /bin/sh $S/reserve @run booted $service" | put "$ETC/$(boot_unit)" || return 1
	(umask 022 && mkdir -p "$ETC/multi-user.target.wants") && ln -sfT "../$(boot_unit)" "$ETC/multi-user.target.wants/$(boot_unit)" &&
		sync "$ETC/multi-user.target.wants"
}

disarm_boot() { rm -f "$ETC/multi-user.target.wants/$(boot_unit)" "$ETC/$(boot_unit)" "$ETC/$(boot_unit).tmp"; }

boot_unit() { printf 'seatrial-commit-%s.service' "$service"; }

needs_boot() {
	case $runs in *" -
"*) return 0 ;; esac # a unit that must be enabled, too
	changed=$(printf '%s' "$files" | while read -r _ old new; do [ "$old" = "$new" ] || printf x; done)
	[ "${#changed}" -gt 1 ]
}

verb_booted() { # nobody asked: the host is up again
	load
	boot
	case $state in COMMITTING | REVERTING) ;; *) return 0 ;; esac
	[ "$booted" = "$boot" ] || recover "the host went down in the commit"
}

# A boot in the middle of the commit started what it found enabled, from files that were not all the new ones.
start_committed() {
	again='' ran=''
	for unit in $(unit_names); do
		show "$unit"
		is_active || [ "$UnitFileState" = enabled ] || continue
		again="$again$unit "
	done
	[ -n "$again" ] || return 0
	# shellcheck disable=SC2086 # a list of names
	restart_units $again
	now
	began=$now
	for unit in $again; do
		show "$unit"
		while [ -n "$Job" ] && [ "$((now - began))" -lt 60 ]; do
			sleep 1
			now
			show "$unit"
		done
		say unit "$unit is $ActiveState/$SubState"
	done
}

# What was there before and is no release of ours (made by hand, or changed since) becomes one, for rollback.
keep_found() {
	[ -n "$previous" ] && ! grep -q "^$previous " "$S/history" 2>/dev/null || return 0
	rm -rf "$S/releases/$previous"
	cp -Rp "$S/prev" "$S/releases/$previous" && history_line "$previous" found - - old 'by hand'
}

# history_line ID OUTCOME LABEL PLAN old|new OWNER adds `ID OUTCOME TIME LABEL PLAN FILES OWNER`, with - for what there is none
# of. FILES is PATH=DIGEST,... of all files that the release has; 12 digits tell them apart.
history_line() {
	listed=$(printf '%s' "$files" | while read -r path old new; do
		[ "$5" = new ] || new=$old
		[ "$new" = none ] || printf '%s=%.12s,' "$path" "$new"
	done)
	{
		[ ! -f "$S/history" ] || cat "$S/history"
		printf '%s %s %s %s %s %s %s\n' "$1" "$2" "$(date +%s)" "${3:--}" "${4:--}" "${listed:--}" "$6"
	} | put "$S/history"
}

# remember OUTCOME: the release in the host's history, after what it replaced
remember() {
	last=$(tail -n 1 "$S/history" 2>/dev/null)
	case $last in "$release $1 "*) return 0 ;; esac
	history_line "$release" "$1" "$label" "$plan" new "$owner"
}

# Five good releases are kept, and five bad ones as evidence. The newest word on a release counts.
prune() {
	[ -f "$S/history" ] || return 0
	newest_first='' seen=' ' keep=' ' good=0 bad=0
	while read -r id outcome _; do
		newest_first="$id $outcome
$newest_first"
	done <"$S/history"
	while read -r id outcome; do
		case $seen in *" $id "*) continue ;; esac
		seen="$seen$id "
		case $outcome in
		rolled-back) bad=$((bad + 1)) && [ "$bad" -le 5 ] || continue ;;
		*) good=$((good + 1)) && [ "$good" -le 5 ] || continue ;;
		esac
		keep="$keep$id "
	done <<END
$newest_first
END
	for kept in "$S/releases"/*; do
		case $keep in *" ${kept##*/} "*) ;; *) rm -rf "$kept" ;; esac
	done
}

# unit-copy: the new files, staged beside their places, checked by digest and by systemd; the old ones are kept.
# systemd sees nothing of it yet.

verb_unit_copy() { # TOKEN (PATH MODE OWNER:GROUP CONTENT)...
	fence "$1"
	[ "$state" = ARMED ] || die 79 "cannot copy now: $state"
	! lease_over || die 79 "the lease has ended"
	shift
	save STAGED
	rm -rf "$S/prev" "$R/verify" && mkdir -p "$S/prev" "$R/verify" "$S/releases/$release" ||
		die 78 "cannot create directories in $S (file system full?)"
	while [ $# -gt 3 ]; do
		[ "$(wanted "$1")" = none ] || stage "$@" # a companion that the release does not have
		shift 4
	done
	keep_old
	lint "$R/verify"
}

stage() { # PATH MODE OWNER:GROUP CONTENT ...
	stage=$(stage_of "$1")
	[ -d "${1%/*}" ] || die 78 "${1%/*} does not exist on this host"
	printf '%s' "$4" | put "$stage" || die 78 "cannot write $stage (file system full or read-only?)"
	[ "$(digest "$stage")" = "$(wanted "$1")" ] || die 78 "$stage is not what was sent (file system full?)"
	{ [ "$3" = root:root ] || chown "$3" "$stage"; } && chmod "$2" "$stage" || die 78 "cannot give $stage to $3 with mode $2"
	! have restorecon || chcon --reference="${1%/*}" "$stage" 2>/dev/null
	copy "$stage" "$S/releases/$release/${1##*/}" || die 78 "cannot keep the release in $S (file system full?)"
	case $1 in "$ETC"/*) cp "$stage" "$R/verify/${1##*/}" || die 78 "cannot write to $R (is /run full?)" ;; esac
}

wanted() { printf '%s' "$files" | while read -r path _ new; do [ "$path" != "$1" ] || printf '%s\n' "$new"; done; }

# The old files, byte for byte with mode and owner: what a rollback puts back.
keep_old() {
	while read -r path old _; do
		[ -n "$path" ] && [ "$old" != none ] || continue
		cp -p "$path" "$S/prev/${path##*/}" && sync "$S/prev/${path##*/}" ||
			die 78 "cannot keep the previous $path in $S (file system full?)"
	done <<END
$files
END
	sync "$S/prev"
}

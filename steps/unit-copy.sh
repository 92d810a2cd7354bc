# unit-copy: the new files, staged beside their places, checked by digest and by systemd; the old ones are kept.
# systemd sees nothing of it yet.

verb_unit_copy() { # TOKEN (PATH CONTENT)...
	fence "$1"
	[ "$state" = LOCKED ] || die 79 "cannot copy now: $state"
	shift
	save STAGED
	rm -rf "$S/prev" "$R/verify" && mkdir -p "$S/prev" "$R/verify" "$S/releases/$release" ||
		die 78 "cannot create directories in $S (file system full?)"
	while [ $# -gt 1 ]; do
		[ "$(wanted "$1")" = none ] || stage "$1" "$2" # a companion that the release does not have
		shift 2
	done
	keep_old
	lint
}

stage() { # PATH CONTENT
	stage=$(stage_of "$1")
	[ -d "${1%/*}" ] || die 78 "${1%/*} does not exist on this host"
	printf '%s' "$2" | put "$stage" || die 78 "cannot write $stage (file system full or read-only?)"
	[ "$(digest "$stage")" = "$(wanted "$1")" ] || die 78 "$stage is not what was sent (file system full?)"
	chmod 644 "$stage"
	! have restorecon || chcon --reference="${1%/*}" "$stage" 2>/dev/null
	printf '%s' "$2" | put "$S/releases/$release/${1##*/}" || die 78 "cannot keep the release in $S (file system full?)"
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

# The lint needs the unit's real name and the host's drop-ins, so it runs here.
lint() {
	have systemd-analyze || { say lint "skipped: there is no systemd-analyze on this host" && return 0; }
	lint=$(timeout -k 5 60 systemd-analyze --man=no verify "$R/verify"/* 2>&1)
	status=$?
	printf '%s\n' "$lint" | while read -r line; do
		case $line in *"$R/verify/"*) say lint "${line#*"$R/verify/"}" ;; *) [ "$status" = 0 ] || [ -z "$line" ] || say lint "$line" ;; esac
	done
	[ "$status" = 0 ] || die 10 "systemd-analyze verify refuses the unit"
}

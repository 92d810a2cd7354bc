# facts: everything a preview, a refusal and a deploy need to know of this host, in one request. Reads only:
# creates nothing, takes no lock.

verb_facts() { # ITEM...: file=PATH run=UNIT dir=PATH user=NAME group=NAME
	say64 facts "$(facts "$@")"
}

facts() {
	boot
	now
	printf '@host\nboot=%s\nuptime=%s\ntime=%s\n' "$boot" "$now" "$(date +%s)"
	[ ! -f /etc/machine-id ] || printf 'machine=%s\n' "$(cat /etc/machine-id)"
	# (where another init runs, systemctl may be there all the same)
	[ ! -d /run/systemd/system ] || systemctl --version 2>/dev/null | { read -r _ version _ && printf 'systemd=%s\n' "$version"; }
	for tool in base64 flock journalctl mv setpriv sha256sum stat sync systemctl systemd-run timeout; do
		have "$tool" || printf 'missing=%s\n' "$tool"
	done
	have systemd-analyze && printf 'analyze=yes\n'
	printf '@disk\n'
	df -Pk /etc/systemd/system /var/lib "$S" /run "$R" 2>/dev/null
	printf '@inodes\n'
	df -Pi /etc/systemd/system /var/lib "$S" /run "$R" 2>/dev/null
	if [ -f "$S/record" ]; then
		deadline
		printf '@record\n'
		cat "$S/record"
		printf 'deadline=%s\n' "$deadline"
	fi
	if [ -f "$S/maintenance" ]; then
		printf '@maintenance\n'
		cat "$S/maintenance"
	fi
	refusing=none
	for directory in /etc/systemd/system /var/lib "${S%/*}" "$S" /run "${R%/*}" "$R"; do
		case $directory in "$refusing"/*) continue ;; esac # what is in it says nothing new
		[ ! -e "$directory" ] || { [ -d "$directory" ] && [ -w "$directory" ]; } || { refusing=$directory && printf '@readonly\npath=%s\n' "$directory"; }
	done
	if [ -f "$S/history" ]; then
		printf '@history\n'
		tail -n 100 "$S/history"
	fi
	for kept in "$S/releases"/*; do [ ! -d "$kept" ] || printf '@kept\nid=%s\n' "${kept##*/}"; done
	for item in "$@"; do
		value=${item#*=}
		case $item in
		file=*) facts_file "$value" ;;
		run=*) facts_run "$value" ;;
		dir=*) facts_dir "$value" ;;
		user=*) id -u "$value" >/dev/null 2>&1 || printf '@missing\nuser=%s\n' "$value" ;;
		group=*) getent group "$value" >/dev/null 2>&1 || printf '@missing\ngroup=%s\n' "$value" ;;
		esac
	done
}

facts_file() { # PATH: the file, a trial of it, a copy that the distribution brings
	facts_one "$1"
	case $1 in "$ETC"/*)
		facts_one "$TRIAL/${1##*/}"
		facts_one "/etc/systemd/system.control/${1##*/}"
		facts_one "/run/systemd/system/${1##*/}"
		facts_one "/usr/lib/systemd/system/${1##*/}"
		[ -L /lib ] || facts_one "/lib/systemd/system/${1##*/}"
		;;
	esac
}

facts_one() {
	[ -e "$1" ] || [ -L "$1" ] || return 0
	printf '@file\npath=%s\n' "$1"
	facts_owner "$(stat -c '%a %U %G %u %g' "$1")"
	[ ! -L "$1" ] || printf 'link=%s\n' "$(readlink "$1")"
	[ -f "$1" ] || return 0
	printf 'digest=%s\n' "$(digest "$1")"
	case $1 in
	"$ETC"/* | "$TRIAL"/* | /etc/logrotate.d/*) printf 'content=%s\n' "$(base64 <"$1" | tr -d '\n')" ;;
	esac
}

facts_run() {
	printf '@unit\nunit=%s\n' "$1"
	properties=$(export TZ=UTC && sc show -p Names,LoadState,ActiveState,SubState,Type,Result,NRestarts,MainPID,InvocationID,FragmentPath,UnitFileState,NeedDaemonReload,TriggeredBy,Job,ActiveEnterTimestamp -- "$1")
	names=''
	while IFS='=' read -r key value; do [ "$key" != Names ] || names=$value; done <<END
$properties
END
	dropins=$(facts_dropins "$1" "$names")
	printf '%s\nDropInPaths=%s\n' "$properties" "$dropins"
	for dropin in $dropins; do printf '@file\npath=%s\ndigest=%s\n' "$dropin" "$(digest "$dropin")"; done
}

# facts_dropins UNIT "NAME...": those that apply once systemd has read them, which a deploy makes it do. It does not tell of
# those that are newer than its last reload, nor of any that waits for a unit which is not there yet. Of one name the first
# counts.
facts_dropins() {
	type=${1##*.} stem=${1%.*} names="$1 $2" seen=' '
	case $stem in *@?*) stem=${stem%%@*}@ names="$names $stem.$type" ;; esac
	while case $stem in *-*) ;; *) false ;; esac do
		stem=${stem%-*} names="$names $stem-.$type"
	done
	facts_dropins_of "$names"
	facts_dropins_of "$type"
}

facts_dropins_of() { # "NAME..."
	for directory in /etc/systemd/system.control "$TRIAL" /run/systemd/transient /run/systemd/generator.early "$ETC" \
		/etc/systemd/system.attached /run/systemd/system /run/systemd/system.attached /run/systemd/generator \
		/usr/local/lib/systemd/system /usr/lib/systemd/system /lib/systemd/system /run/systemd/generator.late; do
		for name in $1; do
			[ -d "$directory/$name.d" ] || continue
			for dropin in "$directory/$name.d"/*.conf; do
				case $seen in *" ${dropin##*/} "*) continue ;; esac
				[ ! -e "$dropin" ] || seen="$seen${dropin##*/} "
				[ ! -f "$dropin" ] || [ ! -s "$dropin" ] || printf '%s ' "$dropin"
			done
		done
	done
}

facts_dir() {
	[ -e "$1" ] || return 0
	printf '@dir\npath=%s\nkind=%s\n' "$1" "$(stat -L -c %F "$1")"
	facts_owner "$(stat -L -c '%a %U %G %u %g' "$1")"
}

facts_owner() { # "MODE OWNER GROUP UID GID"
	read -r mode owner group uid gid <<END
$1
END
	[ "$owner" != UNKNOWN ] || owner=$uid
	[ "$group" != UNKNOWN ] || group=$gid
	printf 'mode=%s\nowner=%s\ngroup=%s\n' "$mode" "$owner" "$group"
}

verb_read_release() { # ID: the files of a release that this host keeps
	[ -d "$S/releases/$1" ] || die 78 "release $1 is not kept on this host"
	for file in "$S/releases/$1"/*; do
		[ ! -f "$file" ] || say64 file "path=${file##*/}
$(facts_owner "$(stat -c '%a %U %G %u %g' "$file")")

$(cat "$file" && printf .)" # the dot keeps the last newlines
	done
}

# lib.sh: what the steps share. Everything runs on the host, as root, in a POSIX sh.
#
# A service's state on a host:
#   /var/lib/seatrial/SERVICE/record        the transaction: what is going on, or how it ended (replaced atomically)
#   /var/lib/seatrial/SERVICE/maintenance   a person's lock, with a reason; see hold.sh
#   /var/lib/seatrial/SERVICE/lock          flock for the short time in which something is decided; never deleted
#   /var/lib/seatrial/SERVICE/prev/         the unit files as they were before the transaction
#   /var/lib/seatrial/SERVICE/releases/ID/  what has been committed (or was found), and `history` in order
#   /run/seatrial/SERVICE/deadline          end of the lease, in seconds of uptime: a wrong clock does no harm
# Statuses: 10 unit or check failed, 11 rolled back but not healthy, 20 systemd refused, 75 locked,
# 76 fenced (another run owns the host), 77 drift, 78 refused (nothing changed), 79 wrong state.

ETC=/etc/systemd/system
TRIAL=/run/systemd/system.control # precedes $ETC in systemd's search path, and a reboot empties it

# run VERB SERVICE ARGS: what the helper calls. A verb that decides something holds the service's lock.
run() {
	use_service "$2"
	case $1 in
	facts | lint | log_setup | check | settle | verify | journal | logs | read_release) run_locked "$@" ;;
	*)
		case $1 in lock | hold) state_directories ;; esac
		[ -d "$S" ] || die 79 "nothing is known of service $service on this host"
		case $1 in
		renew) patience=5 ;;      # its answer is awaited; see plans/lease.go
		rollback) patience=150 ;; # the guard may be at it, or one whose caller lost the connection
		*) patience=90 ;;         # a rollback waits for the old unit under the lock
		esac
		flock -E 75 -w "$patience" "$S/lock" /bin/sh -c "$SEATRIAL_PROGRAM" seatrial @run "$@"
		status=$?
		[ "$status" != 66 ] || die 78 "cannot open $S/lock (file system full or read-only?)"
		return "$status"
		;;
	esac
}

run_locked() {
	verb=$1
	use_service "$2"
	shift 2
	"verb_$verb" "$@"
}

use_service() { service=$1 S=/var/lib/seatrial/$1 R=/run/seatrial/$1; }

state_directories() {
	mkdir -p "$S/prev" "$S/releases" || die 78 "cannot create $S (read-only or full file system?)"
	chmod 700 /var/lib/seatrial "$S"
}

die() {
	status=$1
	shift
	say error "$*"
	exit "$status"
}

have() { command -v "$1" >/dev/null 2>&1; }

# PID 1 or D-Bus may hang: never wait for ever
sc() { timeout -k 5 60 systemctl "$@"; }

# insist COMMAND...: a systemd that executes itself anew (an upgrade does that) refuses everybody for a moment
insist() {
	for _ in 1 2 3 4 5; do
		"$@" && return
		[ "$?" -lt 124 ] || return 1 # it hung, and has had its time
		sleep 1
	done
	return 1
}

now() {
	read -r up _ </proc/uptime
	now=${up%%.*}
}

# A soft reboot keeps the boot id and /run, so both count.
boot() {
	read -r boot </proc/sys/kernel/random/boot_id
	boot=$boot/$(sc show -p SoftRebootsCount --value 2>/dev/null)
}

digest() { # FILE: its sha256, or `none`
	if [ -f "$1" ]; then
		sum=$(sha256sum <"$1")
		printf '%s\n' "${sum%% *}"
	else
		printf 'none\n'
	fi
}

# put FILE: standard input becomes FILE, wholly and durably or not at all
put() {
	cat >"$1.tmp" && sync "$1.tmp" && mv -fT "$1.tmp" "$1" && sync "${1%/*}"
}

# copy FROM TO: put, with mode and owner
copy() {
	cp -p "$1" "$2.tmp" && sync "$2.tmp" && mv -fT "$2.tmp" "$2" && sync "${2%/*}"
}

stage_of() { # FILE: where its new content waits. Same directory as FILE, so a commit is one rename.
	case $1 in
	"$ETC"/*) printf '%s/.seatrial-%s.stage\n' "$ETC" "${1##*/}" ;;
	*) printf '%s/seatrial-%s.dpkg-new\n' "${1%/*}" "$service" ;; # an ending that logrotate leaves alone
	esac
}

# --- the record -------------------------------------------------------------------------------------
# files: lines `PATH OLD NEW` (digests or none); runs: lines `UNIT FILE INVOCATION ACTIVE ENABLED`

load() {
	state=IDLE token='' booted='' release='' previous='' window='' patience=100 owner='' since='' label='' plan='' files='' runs=''
	[ -f "$S/record" ] || return 0
	while IFS='=' read -r key value; do
		case $key in
		version) [ "$value" = 1 ] || die 78 "$S/record is of version $value, which this seatrial does not know: use a newer one" ;;
		state) state=$value ;;
		token) token=$value ;;
		boot) booted=$value ;;
		release) release=$value ;;
		previous) previous=$value ;;
		window) window=$value ;;
		patience) patience=$value ;;
		owner) owner=$value ;;
		since) since=$value ;;
		label) label=$value ;;
		plan) plan=$value ;;
		file) files="$files$value
" ;;
		run) runs="$runs$value
" ;;
		esac
	done <"$S/record"
}

save() { # STATE
	state=$1
	record | put "$S/record" && return
	rm -f "$S/reserve" # a release that fills the disk must not keep the host from going back
	record | put "$S/record" || die 78 "cannot write $S/record (file system full or read-only?)"
}

record() {
	printf 'version=1\nstate=%s\ntoken=%s\nboot=%s\nrelease=%s\nprevious=%s\nwindow=%s\npatience=%s\nowner=%s\nsince=%s\nlabel=%s\nplan=%s\n' \
		"$state" "$token" "$booted" "$release" "$previous" "$window" "$patience" "$owner" "$since" "$label" "$plan"
	printf '%s' "$files" | while read -r line; do printf 'file=%s\n' "$line"; done
	printf '%s' "$runs" | while read -r line; do printf 'run=%s\n' "$line"; done
}

# reserve: room for the records to come. Any bytes will do.
reserve() { printf '%s\n' "$SEATRIAL_PROGRAM" >"$S/reserve" && sync "$S/reserve"; }

unfinished() { case $state in LOCKED | STAGED | ARMED | TRIAL | COMMITTING | REVERTING) return 0 ;; esac; return 1; }

deadline() {
	deadline=0
	[ ! -f "$R/deadline" ] || read -r deadline <"$R/deadline"
}

set_deadline() { # SECONDS
	now
	printf '%s\n' "$((now + $1))" >"$R/deadline.tmp" && mv -fT "$R/deadline.tmp" "$R/deadline"
}

lease_over() {
	deadline
	now
	[ "$now" -ge "$deadline" ]
}

# fence TOKEN: only the run that owns the host goes on
fence() {
	load
	[ "$token" = "$1" ] || die 76 "another run has taken over this host: ${owner:-unknown} ($state)"
}

# --- units ------------------------------------------------------------------------------------------

# show UNIT: its properties into variables. A PID 1 that is busy with itself is asked again.
show() {
	asked=0
	until show_once "$1" || [ "$asked" = 3 ]; do
		asked=$((asked + 1))
		sleep 1
	done
}

show_once() {
	LoadState='' ActiveState='' SubState='' Result='' NRestarts=0 ExecMainCode='' ExecMainStatus='' MainPID=0
	InvocationID='' FragmentPath='' UnitFileState='' Type='' Job='' ControlGroup=''
	while IFS='=' read -r key value; do
		case $key in
		LoadState | ActiveState | SubState | Result | NRestarts | ExecMainCode | ExecMainStatus | MainPID | \
			InvocationID | FragmentPath | UnitFileState | Type | Job | ControlGroup) eval "$key=\$value" ;;
		esac
	done <<END
$(sc show -p LoadState,ActiveState,SubState,Result,NRestarts,ExecMainCode,ExecMainStatus,MainPID,InvocationID,FragmentPath,UnitFileState,Type,Job,ControlGroup -- "$1")
END
	[ -n "$LoadState" ]
}

is_active() { case $ActiveState in active | reloading) return 0 ;; esac; return 1; }

how_it_ended() { # after show: one line a person can use
	printf '%s/%s, Result=%s' "$ActiveState" "$SubState" "$Result"
	[ "${ExecMainCode:-0}" = 0 ] || printf ', main process %s %s' "$(exit_word "$ExecMainCode")" "$ExecMainStatus"
	case ${NRestarts:-0} in 0) ;; 1) printf ', restarted once' ;; *) printf ', restarted %s times' "$NRestarts" ;; esac
}

exit_word() { case $1 in 1) echo exited ;; 2) echo killed by signal ;; 3) echo dumped core ;; *) echo code "$1" ;; esac; }

unit_names() { printf '%s' "$runs" | while read -r unit _; do printf '%s ' "$unit"; done; }

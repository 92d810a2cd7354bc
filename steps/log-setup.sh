# log-setup: the log directory with its owner, group and mode. Does what is missing and nothing else.

verb_log_setup() { # DIRECTORY OWNER GROUP MODE
	umask 022 # parents that are created along the way
	if [ ! -e "$1" ]; then
		mkdir -p "$1" || die 78 "cannot create $1"
		say changed "created $1"
	fi
	[ -d "$1" ] || die 78 "$1 exists and is not a directory"
	read -r owner group mode <<END
$(stat -L -c '%U %G %a' "$1")
END
	if [ "$owner:$group" != "$2:$3" ]; then
		chown "$2:$3" "$1" || die 78 "cannot give $1 to $2:$3"
		say changed "owner $owner:$group -> $2:$3"
	fi
	if [ "${mode#0}" != "${4#0}" ]; then
		chmod "$4" "$1" || die 78 "cannot set mode $4 on $1"
		say changed "mode $mode -> ${4#0}"
	fi
}

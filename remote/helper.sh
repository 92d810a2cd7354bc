# shellcheck shell=sh
# The helper: what seatrial runs on a host, as root, for as long as one connection lasts. Nothing of it stays behind.
#
# In front of this file stands a program that defines
#     run VERB ARG...           does one request, in a subshell; its exit status is the request's
#     run_locked VERB ARG...    optional, for  /bin/sh -c "$SEATRIAL_PROGRAM" seatrial @run VERB ARG...
#     guard ARG...              optional, for  /bin/sh -c "$SEATRIAL_PROGRAM" seatrial @guard ARG...
# and which may call
#     say KEY TEXT, say64 KEY TEXT    one reply to the request being done
#
# Requests come on stdin, one a line:    BATCH STEP ID VERB ARG...      an ARG is =text, or ~ and base64
# Replies go to stdout, one a line:      @ID KEY =text    or    @ID KEY ~base64    and last    @ID end STATUS|skipped
# Every reply starts on a fresh line, whatever a command printed before it; all other lines are noise to the reader.

PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
SYSTEMD_COLORS=0
SYSTEMD_LOG_COLOR=0
SYSTEMD_PAGER=
export PATH LC_ALL SYSTEMD_COLORS SYSTEMD_LOG_COLOR SYSTEMD_PAGER
unset CDPATH ENV BASH_ENV
umask 077

# The connection may die in the middle of a request, which must come to its end nevertheless.
trap '' PIPE HUP 2>/dev/null || :

seatrial_newline='
'

# say KEY TEXT: a reply. It succeeds even when nobody listens any more, so that a step does not stop half way.
say() {
    case ${2-} in
        *"$seatrial_newline"*) say64 "$1" "$2" ;;
        *) printf '\n@%s %s =%s\n' "${SEATRIAL_ID-}" "$1" "${2-}" 2>/dev/null || : ;;
    esac
}

# say64 KEY TEXT: the same for text of any bytes.
say64() {
    printf '\n@%s %s ~%s\n' "${SEATRIAL_ID-}" "$1" "$(printf '%s' "${2-}" | base64 | tr -d '\n')" 2>/dev/null || :
}

# request VERB ARG...: decodes the arguments and runs the request. The dot keeps trailing newlines from being lost.
request() {
    seatrial_verb=$1
    shift
    seatrial_left=$#
    while [ "$seatrial_left" -gt 0 ]; do
        case $1 in
            =*) seatrial_arg=${1#=} ;;
            *)
                seatrial_arg=$(printf '%s' "${1#?}" | base64 -d && echo .) || return 125
                seatrial_arg=${seatrial_arg%.}
                ;;
        esac
        shift
        set -- "$@" "$seatrial_arg"
        seatrial_left=$((seatrial_left - 1))
    done
    run "$seatrial_verb" "$@"
}

# serve: does the requests on stdin in their order. Once one has failed, those of later steps in its batch are skipped.
# A line cut short by a dying connection is not run: read fails on it.
serve() {
    seatrial_failed=
    while IFS=' ' read -r batch step id verb args; do
        case $seatrial_failed in
            "$batch $step") ;;
            "$batch "*)
                printf '\n@%s end skipped\n' "$id" 2>/dev/null || :
                continue
                ;;
        esac
        # shellcheck disable=SC2086  # splitting is meant; words hold neither blanks nor patterns
        (
            SEATRIAL_ID=$id
            export SEATRIAL_ID
            request "$verb" $args
        ) </dev/null
        status=$?
        [ "$status" = 0 ] || seatrial_failed="$batch $step"
        printf '\n@%s end %s\n' "$id" "$status" 2>/dev/null || :
    done
}

# helper NONCE FIRST [sudo]: becomes root, says so, and serves: the requests of FIRST (base64, or - for none), then stdin.
helper() {
    if [ "$(id -u)" != 0 ]; then
        printf '\n@@HELLO %s\n' "$1"
        [ "${3-}" != sudo ] || exit 1
        # shellcheck disable=SC2016  # expanded by root's shell, not by this one
        exec sudo -n -- /bin/sh -c 'SEATRIAL_PROGRAM=$1; export SEATRIAL_PROGRAM; shift; eval "$SEATRIAL_PROGRAM"' \
            seatrial "$SEATRIAL_PROGRAM" @helper "$1" "$2" sudo
    fi
    printf '\n@@READY %s\n' "$1"
    [ "$2" = - ] || printf '%s' "$2" | base64 -d | serve
    serve
}

case ${1-} in
    @helper)
        shift
        helper "$@"
        ;;
    @run)
        shift
        run_locked "$@"
        ;;
    @guard)
        shift
        guard "$@"
        ;;
esac

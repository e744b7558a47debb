# One hop of a chain, for any POSIX shell: finds its place and its tool, obeys the controller, puts the file in place,
# leaves nothing. What the tools do differently (`receive`, `forward`) is in agent.py, agent.pl and nc.sh.
#
# Arguments: token target name kind total mode stamp period patience deadline tool...
# The protocol is in the docstring of pytest_execo.processes.chain.
# shellcheck shell=sh

export LC_ALL=C
mask=$(umask)
umask 077

token=$1 target=$2 name=$3 kind=$4 total=$5 mode=$6 stamp=$7 period=$8 patience=$9
shift 9
deadline=$1
shift

part='' scratch='' helper='' receiver='' receiver_ends='' sender='' sender_ends='' ticker=''

# The mark tells our lines from what a login script prints. One line is one write, which pipes do not tear.
say() { printf '@%s\n' "$*" >&3; }

# Tools write to it from subshells: the main shell is told to end.
fail() { leave_with error "$@"; }

leave_with() {
    say "$*"
    kill -s TERM "$$"
    exit 1
}

size_of() {
    # Not `wc -c`, which reads the whole file where busybox provides it.
    # shellcheck disable=SC2012,SC2046 # a number is wanted, whatever the name is
    set -- $(ls -ln -- "$1" 2>/dev/null)
    printf '%s' "${5-}"
}

# A pid may have been taken over since: only children that nobody has waited for are signalled. By SIGKILL: another
# signal is lost on a child that has just been forked and still has the traps of this shell (dash), and the wait would
# have no end.
stop_receiver() {
    [ -z "$receiver" ] && return
    kill -s KILL "$receiver_ends" 2>/dev/null
    wait "$receiver" 2>/dev/null
    receiver=''
}

stop_sender() {
    [ -z "$sender" ] && return
    kill -s KILL "$sender_ends" 2>/dev/null
    kill -s KILL "$sender" 2>/dev/null
    wait "$sender" 2>/dev/null
    sender=''
}

stop_ticker() {
    [ -z "$ticker" ] && return
    kill -s KILL "$ticker" 2>/dev/null
    wait "$ticker" 2>/dev/null
    ticker=''
}

remove() {
    [ -z "$scratch" ] || rm -rf "$scratch"
    [ -z "$part" ] || rm -f "$part"
}

leave() {
    trap '' TERM HUP INT PIPE EXIT
    stop_ticker
    stop_sender
    stop_receiver
    remove
    # What those have started, like the ticker's sleep: all in the process group, and this shell ignores it.
    kill -s TERM 0
}

# A sign of life every period, with the bytes that are here; the end when the controller has given none for long.
tick() {
    left=$patience
    while [ "$left" -gt 0 ]; do
        left=$((left - 1))
        sleep "$period" >/dev/null 3>&- 8>&-
        if ! kill -0 "$$"; then
            # Somebody has killed the main shell alone: nobody else is left to end the hop.
            say "error the agent was killed"
            remove
            trap '' TERM
            kill -s TERM 0
            exit
        fi
        say "have $(size_of "$part")"
    done
    fail "no word from the controller any more"
} 2>/dev/null

# Where it goes, and under which name.
find_place() {
    # shellcheck disable=SC2088 # the tilde came as data
    case $target in '~' | '~/'*) target=${HOME-}${target#'~'} ;; esac
    case $target in /*) ;; *) target=./$target ;; esac
    # As in a copy by SFTP: a name that ends in / is a directory, made if need be.
    case $target in
    */) reason=$(umask "$mask" && mkdir -p "$target" 2>&1) || fail "cannot make $target: ${reason##*: }" ;;
    esac
    if [ -d "$target" ]; then
        place=$target
        final=$target/$name
    else
        [ "$kind" != tars ] || fail "no directory $target for several sources"
        [ "$kind" = file ] || [ ! -e "$target" ] || fail "$target is not a directory"
        place=$(dirname "$target")
        final=$target
    fi
    [ -d "$place" ] || fail "no directory $place"
    if [ "$kind" = file ]; then
        [ ! -d "$final" ] || fail "$final is a directory"
    else
        command -v tar >/dev/null || fail "no tar on the host, which directories and several sources need"
    fi
    part=$place/.execo-$token scratch=$place/.execo-$token.d content=$part
    reason=$( (set -C && : >"$part") 2>&1) || {
        part=''
        fail "cannot write in $place: ${reason##*: }"
    }
    # All write through this descriptor, one after the other: where one has stopped the next goes on, and nobody can
    # make the file again after it was removed.
    exec 8<>"$part"
}

# The first tool that works: being there is not enough (a version manager's python3 may have no version).
find_tool() {
    for tool; do
        case $tool in
        python3) program=$(python3 -c 'import sys; print(sys.executable if sys.version_info >= (3, 6) else "")') ;;
        perl) program=$(perl -MSocket -MPOSIX -e 'print $^X') ;;
        nc) find_nc ;;
        *) continue ;;
        esac
        [ -z "$program" ] || return 0
    done
    leave_with unable "none of $* works on the host"
} 2>/dev/null

# shellcheck disable=SC2034 # nc_kind is for nc.sh
find_nc() {
    program=''
    command -v mkfifo >/dev/null && command -v od >/dev/null && [ "$((1 << 40))" -gt 0 ] && [ -r /proc/net/tcp ] || return
    for program in nc netcat 'busybox nc' ''; do
        # shellcheck disable=SC2086 # two words
        case $($program -h 2>&1 </dev/null) in
        *OpenBSD* | *'usage: nc [-46'*) nc_kind=openbsd ;;
        *'[v1.1'*) nc_kind=traditional ;;
        *BusyBox*) nc_kind=busybox ;;
        *) continue ;;
        esac
        return
    done
}

# The whole file is here and is the right one: give it its attributes, and then its name.
put_in_place() {
    if [ "$kind" = file ]; then
        [ ! -d "$final" ] || fail "$final is a directory"
        reason=$({ chmod "$mode" "$part" && TZ=UTC0 touch -t "$stamp" "$part" && mv -f "$part" "$final"; } 2>&1) ||
            fail "cannot make $final: ${reason##*: }"
        content=$final part=''
    elif [ "$kind" = tars ] || [ -e "$final" ]; then
        unpack "$place"
    else
        mkdir "$scratch" || fail "cannot write in $place"
        unpack "$scratch"
        reason=$(mv "$scratch/$name" "$final" 2>&1) || fail "cannot make $final: ${reason##*: }"
        rmdir "$scratch"
    fi
    say "done"
}

unpack() {
    reason=$(tar -xpof "$content" -C "$1" 2>&1) || fail "tar: ${reason##*: }"
}

# In Python and Perl one program does a link. It comes on its standard input, for the secret is in it.
run_helper() {
    case $tool in
    python3) exec "$program" -IS - "$@" >&3 ;;
    perl) exec "$program" - "$@" >&3 ;;
    esac
}

receive() {
    printf '%s\nmain("%s");\n' "$helper" "$secret" |
        run_helper receive "$1" "$2" "$deadline" "$total" "$3" "$$" "$sum" &
    receiver=$! receiver_ends=$!
}

forward() {
    printf '%s\nmain("%s");\n' "$helper" "$secret" |
        run_helper forward "$1" "$2" "$deadline" "$total" "$3" "$4" 9<"$content" &
    sender=$! sender_ends=$!
}

exec 3>&1
trap leave EXIT
trap 'exit 1' TERM HUP INT PIPE
sleep 0.01 2>/dev/null || period=1
# As a program of its own it would show the secret to `ps`.
[ "$(command -v printf)" = printf ] || fail "its sh has no printf of its own"

find_place
sum=sha256sum
command -v sha256sum >/dev/null || sum='cksum'
find_tool "$@"
# The address at which ssh has reached us, for those who cannot use the name that the controller knows.
# shellcheck disable=SC2086
set -- ${SSH_CONNECTION-}
say "ready $tool ${3--} $part"
IFS= read -r count || exit 1
helper=$(dd bs=1 count="$count" 2>/dev/null)
[ "$tool" != nc ] || eval "$helper"
IFS= read -r secret || exit 1
tick &
ticker=$!
while IFS= read -r line; do
    set -f
    # shellcheck disable=SC2086
    set -- $line
    case $1 in
    listen)
        stop_receiver
        receive "$2" "$3" "$4"
        ;;
    next)
        stop_sender
        forward "$2" "$3" "$4" "$5"
        ;;
    commit) put_in_place ;;
    .)
        stop_ticker
        tick &
        ticker=$!
        ;;
    esac
done

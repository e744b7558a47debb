# The guard of one connection: ends what was started over it when the connection or the controller is gone.
#
# sh -c "$(cat guard.sh)" guard TOKEN SILENCE GRACE      POSIX sh: dash, busybox sh and bash are tested
#
# Its standard input is the lifeline. Each line is a sign of life too:
#   = PID...             the process groups that run now
#   + PID                one more
#   .                    nothing runs: no sign of life is awaited until one comes, as at the beginning
#   x                    nothing runs, and the connection is about to be closed: nothing is to be ended
#   k N SIGNAL PID       signal a process group
#   t N SIGNAL MARK PID  signal all that descends from PID: by parents, and by EXECO_PROCESS=MARK in the environment
#   a N PID              is any process of the group there?
# The last three are answered by "N STATUS". It says "posix" first, where the login shell is such a one.
# At the end of its input, or after SILENCE seconds without a line (0: never), it ends the groups it knows and whatever
# else of their sessions has EXECO_PROCESS=TOKEN.SESSION. in its environment: SIGTERM, GRACE seconds, SIGKILL. What made
# a session of its own (a daemon) is left alone.
trap '' HUP INT QUIT PIPE USR1 # the last one is the dog's, which must not die of it before it has its trap
token=$1 silence=$2 grace=$3
groups='' dog='' quiet=1 over=''

signal() { # SIGNAL PID|-GROUP...
    name=$1
    shift
    # The one form for groups that all shells take: busybox knows no "--" here, dash no "-s NAME -PID".
    for target; do kill "-$name" "$target"; done 2>/dev/null
}

session() { # PID: sets $session
    read -r stat 2>/dev/null <"/proc/$1/stat" || return 1
    stat=${stat##*) } # after the name, which may hold anything: state ppid pgrp session
    stat=${stat#* }
    stat=${stat#* }
    stat=${stat#* }
    session=${stat%% *}
}

marked() { # MARK: sets $found to the processes whose environment has it
    found=''
    # shellcheck disable=SC2013 # words: no blank is in these names
    for file in $(grep -l "EXECO_PROCESS=$1" /proc/[0-9]*/environ 2>/dev/null); do
        file=${file#/proc/}
        found="$found ${file%/environ}"
    done
}

strays() { # sets $targets: the groups, and what is of our sessions and in none of them
    targets=''
    for pid in $groups; do targets="$targets -$pid"; done
    marked "$token\."
    for pid in $found; do
        session "$pid" && grep -q "EXECO_PROCESS=$token\.$session\." "/proc/$pid/environ" 2>/dev/null &&
            targets="$targets $pid"
    done
}

left() {
    for target in $targets; do kill -0 "$target" 2>/dev/null && return; done
    return 1
}

ask_to_end() {
    # shellcheck disable=SC2086 # a list
    signal TERM $targets
    # shellcheck disable=SC2086
    signal CONT $targets # what is stopped could not end
}

reap() {
    targets=''
    for pid in $groups; do targets="$targets -$pid"; done
    ask_to_end # at once: on a loaded host it takes long to look for the others
    strays
    ask_to_end
    waited=0
    while left && [ "$waited" -lt "$grace" ]; do
        sleep 1
        waited=$((waited + 1))
    done
    # shellcheck disable=SC2086
    signal KILL $targets
    strays # what was started meanwhile
    # shellcheck disable=SC2086
    signal KILL $targets
}

watch() { # bites after $silence seconds without a sign of life, which is SIGUSR1 here
    trap 'count=0' USR1
    trap 'kill "$timer" 2>/dev/null; wait "$timer"; exit' TERM
    count=0
    while [ "$count" -lt "$silence" ]; do
        # One second at a time, on the machine's clock and not on the calendar: one that was asleep has missed nothing.
        sleep 1 >/dev/null 2>&1 &
        timer=$!
        while kill -0 "$timer" 2>/dev/null; do wait "$timer"; done # a signal interrupts the waiting alone
        count=$((count + 1))
    done
    trap '' TERM USR1
    echo silence
    reap
    kill -s KILL "$$"
}

sign_of_life() {
    if [ "$silence" = 0 ] || [ -n "$quiet" ]; then
        stop_watching
    elif [ -z "$dog" ]; then
        watch </dev/null &
        dog=$!
    else
        kill -USR1 "$dog" 2>/dev/null
    fi
}

stop_watching() {
    [ -n "$dog" ] && kill "$dog" 2>/dev/null && wait "$dog" # not to leave a zombie
    dog=''
}

family() { # MARK PID: sets $targets to all that descends from PID, itself included
    marked "$1"
    targets=" $2 $found "
    # child:parent of every process; a name may hold blanks and parentheses.
    pairs=$(cat /proc/[0-9]*/stat 2>/dev/null | sed -n 's/^\([0-9]*\) (.*) [A-Z] \([0-9]*\) .*/\1:\2/p')
    grown=1
    while [ -n "$grown" ]; do
        grown=''
        for pair in $pairs; do
            case $targets in
            *" ${pair%:*} "*) ;;
            *" ${pair#*:} "*) targets="$targets${pair%:*} " grown=1 ;;
            esac
        done
    done
    targets="$targets -$2"
}

# What has started us, and will start others. Not zsh, in which an unquoted word may begin with no "=".
case ${SHELL##*/} in sh | bash | dash | ash | ksh | mksh) echo posix ;; esac
while read -r what rest; do
    case $what in
    =) groups=$rest quiet='' ;;
    +) groups="$groups $rest" quiet='' ;;
    .) groups='' quiet=1 ;;
    x) quiet=1 over=1 ;;
    *)
        # shellcheck disable=SC2086 # words
        set -- $rest
        case $what in
        k) kill "-$2" "-$3" 2>/dev/null ;;
        a) kill -0 "-$2" 2>/dev/null ;;
        t)
            family "$3" "$4"
            # shellcheck disable=SC2086 # a list
            signal "$2" $targets
            ;;
        esac
        echo "$1 $?"
        ;;
    esac
    sign_of_life
done
stop_watching
exec >/dev/null 2>&1
[ -n "$over" ] || reap

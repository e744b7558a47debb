# Runs a command and reports how it ended, for transports that don't tell a signal from an exit code.
#
# sh -c "$(cat report.sh)" report TOKEN TERMINAL COMMAND      COMMAND is a line for sh; it says its own pid
#
# With perl, what waitpid() says is reported. sh alone knows only "128 and more", which it takes for a signal.
# It stays in the way of no signal (a handler is not inherited, unlike "ignore") and is outside the command's group. With
# TERMINAL, "1", that group is the one that the terminal serves.
if command -v perl >/dev/null 2>&1; then
    # shellcheck disable=SC2016 # perl's variables
    exec perl -e '
        my ($token, $terminal, @command) = @ARGV;
        $SIG{$_} = sub {} for qw(HUP INT QUIT TERM);
        if ($terminal) { require POSIX; $SIG{TTOU} = "IGNORE"; }
        defined(my $pid = fork) or exit 126;
        if (!$pid) {
            setpgrp(0, 0);
            if ($terminal) { POSIX::tcsetpgrp(0, $$); $SIG{TTOU} = "DEFAULT"; }
            exec @command;
            exit 127;
        }
        my $done;
        do { $done = waitpid($pid, 0) } until $done == $pid || !$!{EINTR};
        syswrite STDERR, "\001execo-end:$token:$?\n";
    ' "$1" "$2" /bin/sh -c "$3"
fi
trap : HUP INT QUIT TERM
if [ -n "$2" ]; then
    set -m 2>/dev/null # job control: a group of its own, which gets the terminal
    /bin/sh -c "$3"
elif command -v setsid >/dev/null 2>&1; then
    setsid /bin/sh -c "$3"
else
    /bin/sh -c "$3"
fi
status=$?
if [ "$status" -gt 128 ]; then status=$((status - 128)); else status=$((status * 256)); fi
printf '\001execo-end:%s:%s\n' "$1" "$status" >&2

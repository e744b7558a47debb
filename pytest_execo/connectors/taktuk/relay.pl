# The relay of one host: starts commands and carries their streams as lines that TakTuk can't mangle.
#
# perl -e 'eval SOURCE' SILENCE GRACE CREDIT      only what TakTuk itself needs: POSIX, Fcntl and Errno of perl-base
#
# Lines that come (data and words are base64, "-" is none):
#   s ID FLAGS MARK TERM CWD N NAME VALUE … WORD …   start; flags: l a line for sh, p a terminal, d detached; N variables
#   i ID DATA        standard input              e ID          its end
#   j ID KEY         what comes for KEY is standard input of ID too        b KEY DATA    such input
#   g ID BYTES       so much output may be sent in all         x ID      give up: end it, say nothing more of it
#   k N SIGNAL PID MARK   signal the group of PID; with MARK all that descends from it       a N PID   is any there?
#   .                a sign of life              q             end everything, as when the input ends
# Lines that go:
#   s ID PID         started                     n ID WHY      not started: "directory", "terminal" or "fork", and why
#   o ID DATA, r ID DATA   output and errors     w ID BYTES    so much of standard input was taken in all
#   e ID STATUS LEFT ended: what waitpid() says, and whether others of its group are still there
#   a N ANSWER       answer to k and a
#
# It is the guard too: when its input ends, or SILENCE seconds after the last line once a first sign of life has come
# (0: never), it ends what it started, SIGTERM, GRACE seconds, SIGKILL, and itself. What is detached is left alone.
use strict;
use POSIX ();
use Fcntl qw(F_GETFL F_SETFL O_NONBLOCK O_NOCTTY O_RDWR);
use Errno qw(EAGAIN EINTR ENOENT ENOTDIR EPERM);

my ($silence, $grace, $credit) = @ARGV;
my $ticks = POSIX::sysconf(POSIX::_SC_CLK_TCK());
my $piece = 24576;     # bytes of one line of output: 32 KiB in base64, what TakTuk reads at once
my $linger = 0.5;      # seconds that output is awaited after the end, for a daemon may hold it for ever
my $longest = 100_000; # Linux takes 128 KiB in one word of a command
my %commands;
my %joined;            # key => the number of the command that has joined
my ($buffer, $scanned) = ('', 0);
my ($beats, $quiet, $over) = (0, 0, 0);

sub now { (POSIX::times())[0] / $ticks }

# base64 by way of uuencode, the one of the two that perl has built in: 63 bytes are 84 characters after their length.

sub encode {
    my $text = pack 'u63', $_[0];
    $text =~ s/\n.?//g;
    $text = substr $text, 1;
    $text =~ tr{` -_}{AA-Za-z0-9+/};
    my $padding = (3 - length($_[0]) % 3) % 3;
    substr($text, -$padding) = '=' x $padding if $padding;
    return $text;
}

sub decode {
    my $text = shift;
    $text =~ tr{A-Za-z0-9+/}{}cd;
    $text =~ tr{A-Za-z0-9+/}{ -_};
    my $rest = substr $text, 84 * int(length($text) / 84), 84, '';
    my $whole = length $text ? unpack 'u', '_' . join '_', unpack '(a84)*', $text : '';
    return $whole . unpack 'u', chr(32 + int(length($rest) * 3 / 4)) . $rest;
}

if (eval { require MIME::Base64; 1 }) { # many times faster; perl-base alone has it not
    no warnings 'redefine';
    *encode = sub { MIME::Base64::encode_base64($_[0], '') };
    *decode = \&MIME::Base64::decode_base64;
}

sub word { $_[0] eq '-' ? undef : decode(substr $_[0], 1) }

sub tell_line {
    my $line = join(' ', @_) . "\n";
    my $at = 0;
    while ($at < length $line) {
        my $wrote = syswrite STDOUT, $line, length($line) - $at, $at;
        if (defined $wrote) { $at += $wrote }
        elsif ($! == EAGAIN) { select undef, undef, undef, 0.01 }
        elsif ($! != EINTR) { return }
    }
}

sub unblocked {
    my $handle = shift;
    fcntl $handle, F_SETFL, fcntl($handle, F_GETFL, 0) | O_NONBLOCK;
    return $handle;
}

# processes

sub processes { # pid => [parent, session]
    my %found;
    opendir my $proc, '/proc' or return;
    for my $pid (grep { /^\d+$/ } readdir $proc) {
        open my $file, '<', "/proc/$pid/stat" or next;
        my $stat = <$file>;
        # After the name, which may hold anything: state parent group session
        $found{$pid} = [$1, $2] if defined $stat && $stat =~ /.*\) \S+ (\d+) \d+ (\d+)/s;
    }
    return %found;
}

sub marked {
    my ($mark, $pid) = @_;
    open my $file, '<', "/proc/$pid/environ" or return 0;
    local $/;
    my $environment = <$file>;
    return defined $environment && "\0$environment" =~ /\0EXECO_PROCESS=\Q$mark\E\0/;
}

sub family { # what descends from a process, by parents and by the mark
    my ($pid, $mark) = @_;
    my %all = processes();
    my %family = map { $_ => 1 } $pid, grep { $_ != $$ && marked($mark, $_) } keys %all;
    my $grown = 1;
    while ($grown) {
        $grown = 0;
        for (keys %all) {
            if (!$family{$_} && $family{$all{$_}[0]}) { $family{$_} = $grown = 1 }
        }
    }
    return grep { $all{$_} } keys %family;
}

sub signal_all {
    my ($number, $pid, $mark) = @_;
    kill $number, -$pid;
    return if !defined $mark;
    my %done;
    for (1 .. 5) { # what is forked meanwhile
        my @new = grep { !$done{$_}++ } family($pid, $mark);
        last if !@new;
        kill $number, @new;
    }
}

sub there { kill(0, -$_[0]) || $! == EPERM }

sub session { # the group, and what job control made other groups of
    my $pid = shift;
    my %all = processes();
    return (-$pid, grep { $all{$_}[1] == $pid } keys %all);
}

# start

sub terminal {
    sysopen my $master, '/dev/ptmx', O_RDWR | O_NOCTTY or return;
    for my $numbers ([0x40045431, 0x80045430], [0x80045431, 0x40045430]) { # most machines; powerpc, mips
        my ($unlocked, $number) = (pack('i', 0), pack('i', -1));
        next if !ioctl($master, $numbers->[0], $unlocked) || !ioctl($master, $numbers->[1], $number);
        return ($master, '/dev/pts/' . unpack 'i', $number);
    }
    return;
}

sub start {
    my ($id, $flags, @words) = @_;
    my ($mark, $term, $cwd, $variables) = ((map { word($_) } splice @words, 0, 3), shift @words);
    my @variables = map { word($_) } splice @words, 0, 2 * $variables;
    my @argv = map { word($_) } @words;
    my ($pty, $detached) = (scalar($flags =~ /p/), scalar($flags =~ /d/));
    my (@ours, @theirs, $master, $slave);
    if ($pty) {
        ($master, $slave) = terminal();
        return tell_line('n', $id, 'terminal', encode("$!")) if !defined $master;
    } elsif (!$detached) {
        for (0 .. 2) {
            pipe my $read, my $write or return tell_line('n', $id, 'fork', encode("$!"));
            ($ours[$_], $theirs[$_]) = $_ ? ($read, $write) : ($write, $read);
        }
    }
    pipe my $said, my $say or return tell_line('n', $id, 'fork', encode("$!"));
    my $pid = fork;
    return tell_line('n', $id, 'fork', encode("$!")) if !defined $pid;
    if (!$pid) {
        POSIX::setsid();
        if (defined $cwd && !chdir $cwd) {
            syswrite $say, "$!";
            POSIX::_exit(1);
        }
        if ($pty || $detached) { # the first terminal that a leader opens is its own
            sysopen my $end, $pty ? $slave : '/dev/null', O_RDWR or POSIX::_exit(126);
            POSIX::dup2(fileno $end, $_) for 0 .. 2;
        } else {
            POSIX::dup2(fileno $theirs[$_], $_) for 0 .. 2;
        }
        # TakTuk ignores SIGPIPE, sets variables, and leaves descriptors open: none of it is for the command.
        $SIG{$_} = 'DEFAULT' for qw(PIPE HUP INT QUIT TERM CHLD);
        $SIG{HUP} = 'IGNORE' if $detached;
        delete @ENV{'PERL_RL', grep { /^TAKTUK_/ } keys %ENV};
        my ($keep, @script) = (fileno $say);
        if ($flags =~ /l/ && length $argv[0] > $longest) {
            open my $file, '+>', undef or POSIX::_exit(126);
            syswrite $file, $argv[0];
            sysseek $file, 0, 0;
            POSIX::dup2(fileno $file, 9) if fileno $file != 9;
            # The dot keeps the newlines at the end, which a substitution would drop.
            @script = ('l=$(cat <&9; echo .); exec 9<&-; eval "unset l
${l%.}"');
        }
        for (3 .. 255) { POSIX::close($_) if $_ != $keep && !(@script && $_ == 9) }
        $ENV{EXECO_PROCESS} = $mark if !$detached;
        $ENV{TERM} = $term if $pty;
        if (defined $cwd) {
            if ($cwd =~ m{^/}) { $ENV{PWD} = $cwd } else { delete $ENV{PWD} }
        }
        while (my ($name, $value) = splice @variables, 0, 2) { $ENV{$name} = $value }
        @argv = ('/bin/sh', '-c', @script ? @script : $argv[0]) if $flags =~ /l/;
        { no warnings; exec { $argv[0] } @argv; }
        my $missing = $! == ENOENT || $! == ENOTDIR;
        my $why = "$argv[0]: $!\n";
        syswrite STDERR, $why;
        POSIX::_exit($missing ? 127 : 126);
    }
    close $say;
    close $_ for @theirs;
    my $why = '';
    while (1) { # until exec closes it
        my $read = sysread $said, $why, 4096, length $why;
        last if defined $read ? !$read : $! != EINTR;
    }
    if (length $why) {
        waitpid $pid, 0;
        return tell_line('n', $id, 'directory', encode($why));
    }
    my %command = (
        id => $id, pid => $pid, detached => $detached, pty => $pty, pending => '', taken => 0, told => 0,
        sent => 0, credit => $credit, streams => {},
    );
    if ($pty) {
        unblocked($master);
        $command{in} = $master;
        $command{streams} = { o => $master };
    } elsif (!$detached) {
        unblocked($_) for @ours;
        $command{in} = $ours[0];
        $command{streams} = { o => $ours[1], r => $ours[2] };
    }
    $commands{$id} = \%command;
    tell_line('s', $id, $pid);
}

# streams

sub close_input {
    my $command = shift;
    $command->{taken} += length $command->{pending}; # what nobody reads any more is taken too
    $command->{pending} = '';
    delete $command->{in};
}

sub feed {
    my $command = shift;
    return if !$command->{in};
    while (length $command->{pending}) {
        my $wrote = syswrite $command->{in}, $command->{pending}, 65536;
        if (defined $wrote) {
            substr($command->{pending}, 0, $wrote) = '';
            $command->{taken} += $wrote;
        } elsif ($! == EAGAIN || $! == EINTR) {
            last;
        } else {
            close_input($command);
            last;
        }
    }
    if ($command->{taken} - $command->{told} >= 65536 || $command->{taken} > $command->{told} && !length $command->{pending}) {
        $command->{told} = $command->{taken};
        tell_line('w', $command->{id}, $command->{taken});
    }
    close_input($command) if $command->{eof} && $command->{in} && !length $command->{pending} && !$command->{pty};
}

sub carry {
    my ($command, $name) = @_;
    my $handle = $command->{streams}{$name};
    my $room = $command->{credit} - $command->{sent};
    my $read = sysread $handle, my $data, $room < $piece ? $room : $piece;
    if ($read) {
        $command->{sent} += $read;
        $command->{owed}{$name} -= $read if $command->{owed};
        tell_line($name, $command->{id}, encode($data));
    } elsif (defined $read || $! != EAGAIN && $! != EINTR) {
        delete $command->{streams}{$name};
    } elsif ($command->{owed}) {
        $command->{owed}{$name} = 0; # all that it wrote has been read
    }
}

sub reap {
    while ((my $pid = waitpid -1, POSIX::WNOHANG()) > 0) {
        my $status = $?;
        for (grep { $_->{pid} == $pid } values %commands) {
            $_->{status} = $status;
            $_->{exited} = now();
            # It wrote what is in the pipes now, which hold at most 1 MiB.
            $_->{owed} = { map { $_ => 1 << 20 } keys %{$_->{streams}} };
        }
    }
    for my $command (values %commands) {
        next if !defined $command->{status};
        my @open = keys %{$command->{streams}};
        next if @open && (now() - $command->{exited} < $linger || grep { $command->{owed}{$_} > 0 } @open);
        delete $commands{$command->{id}};
        delete @joined{grep { $joined{$_} eq $command->{id} } keys %joined};
        tell_line('e', $command->{id}, $command->{status}, there($command->{pid}) ? 1 : 0) if !$command->{dropped};
    }
}

# the end

my %doomed; # pid => when it is to be killed

sub doom {
    my $pid = shift;
    kill $_, session($pid) for 'TERM', 'CONT'; # what is stopped could not end
    $doomed{$pid} = now() + $grace;
}

sub finish_off {
    for my $pid (keys %doomed) {
        if (now() < $doomed{$pid}) {
            delete $doomed{$pid} if !there($pid) && !grep { $_->{pid} == $pid } values %commands;
        } else {
            kill 'KILL', session($pid);
            delete $doomed{$pid};
        }
    }
}

sub leave {
    doom($_->{pid}) for grep { !$_->{detached} } values %commands;
    while (%doomed) {
        select undef, undef, undef, 0.05;
        reap();
        finish_off();
    }
    exit 0;
}

# the conversation

sub understand {
    my ($what, @rest) = split ' ', $_[0];
    $quiet = 0;
    if ($what eq 's') { return start(@rest) }
    if ($what eq '.') { $beats = 1; return }
    if ($what eq 'q') { $over = 1; return }
    if ($what eq 'a') { return tell_line('a', $rest[0], there($rest[1]) ? 1 : 0) }
    if ($what eq 'k') {
        signal_all($rest[1], $rest[2], $rest[3] eq '-' ? undef : $rest[3]);
        return tell_line('a', $rest[0], 1);
    }
    if ($what eq 'j') { $joined{$rest[1]} = $rest[0]; return }
    if ($what eq 'b') { ($what, $rest[0]) = ('i', $joined{$rest[0]} || 0) }
    my $command = $commands{$rest[0]} or return;
    if ($what eq 'g') { $command->{credit} = $rest[1] }
    elsif ($what eq 'x') {
        doom($command->{pid}) if !$command->{detached};
        $command->{streams} = {};
        close_input($command);
        $command->{dropped} = 1;
    }
    elsif ($what eq 'i' && $command->{in}) { $command->{pending} .= decode($rest[1]); feed($command) }
    elsif ($what eq 'i') { tell_line('w', $rest[0], $command->{told} = $command->{taken} += length decode($rest[1])) }
    elsif ($what eq 'e' && !$command->{eof}) {
        $command->{eof} = 1;
        $command->{pending} .= "\4" if $command->{pty}; # as typed
        feed($command);
    }
}

sub listen_up {
    my $read = sysread STDIN, $buffer, 65536, length $buffer;
    if (!$read) {
        $over = 1 if defined $read || $! != EAGAIN && $! != EINTR;
        return;
    }
    my $start = 0;
    while ((my $end = index $buffer, "\n", $scanned) >= 0) {
        understand(substr $buffer, $start, $end - $start);
        $start = $scanned = $end + 1;
    }
    substr($buffer, 0, $start) = '';
    $scanned = length $buffer;
}

$SIG{PIPE} = 'IGNORE';
$SIG{CHLD} = sub { };
$SIG{$_} = sub { $over = 1 } for qw(HUP INT TERM);
my $woken = now();
while (!$over) {
    my ($readable, $writable) = ('', '');
    vec($readable, 0, 1) = 1;
    my $wait = 1;
    for my $command (values %commands) {
        if ($command->{sent} < $command->{credit}) {
            vec($readable, fileno $_, 1) = 1 for values %{$command->{streams}};
            $wait = 0.1 if defined $command->{status};
        }
        vec($writable, fileno $command->{in}, 1) = 1 if $command->{in} && length $command->{pending};
    }
    $wait = 0.1 if %doomed;
    ($readable, $writable) = ('', '') if select($readable, $writable, undef, $wait) < 0;
    # Seconds of silence, a second at most for each turn: a machine that slept has not been left alone.
    my $turn = now() - $woken;
    $woken += $turn;
    $quiet += $turn < 1 ? $turn : 1;
    listen_up() if vec $readable, 0, 1;
    for my $command (values %commands) {
        for my $name (keys %{$command->{streams}}) {
            next if $command->{sent} >= $command->{credit};
            carry($command, $name) if $command->{owed} || vec $readable, fileno $command->{streams}{$name}, 1;
        }
        feed($command) if $command->{in} && vec $writable, fileno $command->{in}, 1;
    }
    reap();
    finish_off();
    last if $beats && $silence && $quiet > $silence;
}
leave();

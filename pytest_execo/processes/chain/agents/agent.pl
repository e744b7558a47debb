# One link of a chain in Perl, with the modules of Debian's perl-base: takes the stream in, or passes it on.
#
# Comes on the standard input of `perl -`, followed by a call of main() with the secret. Descriptor 8 is the file that is
# received; 9 is the same file, opened again to read what is there already.

use strict;
use warnings;
use Errno qw(EINTR);
use POSIX ();
use Socket qw(:DEFAULT :addrinfo IPPROTO_TCP);

my $BLOCK = 1 << 18;

# Tell the controller; one line is one write.
sub say_it {
    my $line = '@' . join(' ', @_) . "\n";
    syswrite(STDOUT, $line);
}

# SHA-256 (FIPS 180-4), for the few bytes of a handshake: perl-base has no Digest::SHA. The constants are fractions of
# the roots of the first primes.
my @PRIMES = grep { my $n = $_; !grep { $n % $_ == 0 } 2 .. sqrt $n } 2 .. 311;
my @K = map { fraction($_**(1 / 3)) } @PRIMES;

sub fraction { return int(($_[0] - int $_[0]) * 2**32) }

sub rotate { return ($_[0] >> $_[1] | $_[0] << 32 - $_[1]) & 0xffffffff }

sub sha256 {
    my ($message) = @_;
    my @state = map { fraction(sqrt) } @PRIMES[0 .. 7];
    my $bits = 8 * length $message;
    $message .= "\x80" . "\0" x ((55 - length $message) % 64) . pack('N2', 0, $bits);
    for my $block (unpack '(a64)*', $message) {
        my @w = unpack 'N16', $block;
        for my $t (16 .. 63) {
            my ($x, $y) = @w[$t - 15, $t - 2];
            my $s0 = rotate($x, 7) ^ rotate($x, 18) ^ $x >> 3;
            my $s1 = rotate($y, 17) ^ rotate($y, 19) ^ $y >> 10;
            push @w, ($w[$t - 16] + $s0 + $w[$t - 7] + $s1) & 0xffffffff;
        }
        my ($a, $b, $c, $d, $e, $f, $g, $h) = @state;
        for my $t (0 .. 63) {
            my $s1 = rotate($e, 6) ^ rotate($e, 11) ^ rotate($e, 25);
            my $t1 = $h + $s1 + ($e & $f ^ ~$e & 0xffffffff & $g) + $K[$t] + $w[$t];
            my $s0 = rotate($a, 2) ^ rotate($a, 13) ^ rotate($a, 22);
            my $t2 = $s0 + ($a & $b ^ $a & $c ^ $b & $c);
            ($h, $g, $f, $e, $d, $c, $b, $a) = ($g, $f, $e, $d + $t1 & 0xffffffff, $c, $b, $a, $t1 + $t2 & 0xffffffff);
        }
        my @add = ($a, $b, $c, $d, $e, $f, $g, $h);
        $state[$_] = $state[$_] + $add[$_] & 0xffffffff for 0 .. 7;
    }
    return pack 'N8', @state;
}

# What only who knows the secret can say, of these two nonces and in this role: HMAC-SHA256 (RFC 2104).
sub proof {
    my ($secret, $role, $link, $caller, $listener) = @_;
    my $key = pack('H*', $secret) . "\0" x 32;
    my $text = "$role execo-chain 1 $link $caller $listener";
    return unpack 'H*', sha256(($key ^ "\x5c" x 64) . sha256(($key ^ "\x36" x 64) . $text));
}

# Run something for some seconds at most.
sub within {
    my ($seconds, $do) = @_;
    local $SIG{ALRM} = sub { die "timed out\n" };
    alarm(POSIX::ceil($seconds));
    my @result = eval { $do->() };
    my $error = $@;
    alarm 0;
    die $error if $error;
    return @result;
}

# Up to a newline and not a byte more: what follows is data.
sub read_line {
    my ($connection) = @_;
    my $line = '';
    while ($line !~ /\n\z/) {
        my $count = sysread($connection, $line, 1, length $line);
        die "the other side ended the handshake\n" if !$count || length $line > 200;
    }
    chomp $line;
    return $line;
}

sub write_all {
    my ($file, $data) = @_;
    my $written = 0;
    while ($written < length $data) {
        my $count = syswrite($file, $data, length($data) - $written, $written);
        next if !defined $count && $! == EINTR;
        die "$!\n" if !defined $count;
        $written += $count;
    }
    return;
}

sub write_line {
    my ($connection, @words) = @_;
    write_all($connection, "@words\n");
    return;
}

sub size_of {
    my ($file) = @_;
    return -s $file || 0;
}

# Listen on a free port of the address, or of all addresses where it is none of ours (NAT).
sub listen_on {
    my ($address) = @_;
    my ($error, $found) = getaddrinfo($address, 0, { socktype => SOCK_STREAM });
    my $listener;
    if (!$error) {
        socket($listener, $found->{family}, SOCK_STREAM, 0) && bind($listener, $found->{addr}) or $error = $!;
    }
    if ($error) {
        my $family = $address =~ /:/ ? Socket::AF_INET6() : AF_INET;
        my $any = $family == AF_INET ? pack_sockaddr_in(0, INADDR_ANY) : Socket::pack_sockaddr_in6(0, Socket::IN6ADDR_ANY());
        socket($listener, $family, SOCK_STREAM, 0) && bind($listener, $any) or die "cannot listen: $!\n";
    }
    listen($listener, 8) or die "cannot listen: $!\n";
    return ($listener, (getnameinfo(getsockname($listener), Socket::NI_NUMERICHOST() | Socket::NI_NUMERICSERV()))[2]);
}

sub answer {
    my ($connection, $secret, $link, $nonce) = @_;
    my ($hello, $version, $number, $theirs) = split / /, read_line($connection);
    die "a stranger\n" if !defined $theirs || "$hello $version $number" ne "execo-chain 1 $link";
    write_line($connection, $nonce, proof($secret, 'listen', $link, $theirs, $nonce));
    die "a stranger\n" if read_line($connection) ne proof($secret, 'connect', $link, $theirs, $nonce);
    return;
}

# Shake hands as the one who connects; return how many bytes the other side has.
sub call {
    my ($connection, $secret, $link, $nonce) = @_;
    write_line($connection, 'execo-chain', 1, $link, $nonce);
    my ($theirs, $shown) = split / /, read_line($connection);
    die "it does not know the secret\n" if !defined $shown || $shown ne proof($secret, 'listen', $link, $nonce, $theirs);
    write_line($connection, proof($secret, 'connect', $link, $nonce, $theirs));
    my $here = read_line($connection);
    die "it refused\n" if $here !~ /^\d+\z/;
    return $here;
}

sub receive {
    my ($secret, $link, $nonce, $deadline, $total, $address, $agent, $program) = @_;
    open(my $file, '+<&=', 8) or die;
    my ($listener, $port) = listen_on($address);
    say_it('listening', $link, $port);
    my ($connection, $here);
    while (1) {
        accept($connection, $listener) or next;
        # Half: a silent stranger must not use up the time of the one who is waited for.
        eval {
            within($deadline / 2, sub {
                answer($connection, $secret, $link, $nonce);
                $here = size_of($file);
                write_line($connection, $here);
            });
            1;
        } and last;
        close $connection;
    }
    close $listener;
    say_it('linked', $link);
    # Without it the digest is made at the end, by the host's own program.
    my $digest = $here == 0 && eval { require Digest::SHA; Digest::SHA->new(256) };
    sysseek($file, $here, 0);
    my $buffer;
    while ($here < $total) {
        my $left = $total - $here;
        my $count = sysread($connection, $buffer, $left < $BLOCK ? $left : $BLOCK);
        next if !defined $count && $! == EINTR;
        if (!$count) {
            say_it('lost', $link, defined $count ? 'the connection ended' : "$!");
            return;
        }
        if (!eval { write_all($file, $buffer); 1 }) {
            chomp(my $reason = $@);
            say_it('error', $reason);
            kill 'TERM', $agent;
            return;
        }
        $digest->add($buffer) if $digest;
        $here += $count;
    }
    close $connection;
    if ($digest) {
        say_it('whole', 'sha256sum', $digest->hexdigest);
        return;
    }
    sysseek($file, 0, 0);
    open(STDIN, '<&', $file) or die;
    my ($sum) = split ' ', scalar qx($program);
    say_it('whole', $program, $sum);
    return;
}

sub forward {
    my ($secret, $link, $nonce, $deadline, $total, $address, $port) = @_;
    local $SIG{PIPE} = 'IGNORE';
    open(my $file, '<&=', 9) or die;
    my $done = eval {
        my $connection;
        my ($sent) = within($deadline, sub {
            my ($error, $found) = getaddrinfo($address, $port, { socktype => SOCK_STREAM });
            die "$error\n" if $error;
            socket($connection, $found->{family}, SOCK_STREAM, 0) && connect($connection, $found->{addr}) or die "$!\n";
            return call($connection, $secret, $link, $nonce);
        });
        sysseek($file, $sent, 0);
        my ($pause, $buffer) = (0.001);
        while ($sent < $total) {
            my $count = sysread($file, $buffer, $BLOCK);
            if ($count) {
                write_all($connection, $buffer);
                $sent += $count;
                $pause = 0.001;
            }
            else {
                select(undef, undef, undef, $pause);
                $pause = 2 * $pause < 0.02 ? 2 * $pause : 0.02;
            }
        }
        shutdown($connection, 1);
        sysread($connection, $buffer, 1);
        1;
    };
    if (!$done) {
        chomp(my $reason = $@);
        say_it('broken', $link, $reason);
    }
    return;
}

sub main {
    my ($secret) = @_;
    my $what = shift @ARGV;
    return $what eq 'receive' ? receive($secret, @ARGV) : forward($secret, @ARGV);
}

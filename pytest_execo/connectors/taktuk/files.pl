# The files of one host: answers questions about them, reads them and writes them, one after the other.
#
# perl -e 'eval SOURCE'        only what TakTuk itself needs: POSIX, Fcntl and Errno of perl-base
#
# Lines that come (paths and texts are in hexadecimal):
#   s PATH, S PATH   describe a path; S: a link itself        l PATH         describe what is in a directory
#   r PATH OFFSET    read a file to its end                   w OFFSET MODE PATH …   write files, see below
#   d PATH           make a directory                         t PATH         where does a link lead to?
#   k TARGET PATH    make a link                              a PATH MODE MTIME ATIME   set mode and dates
# After `w` come pieces, each a line with its size and the bytes; the piece of size 0 ends a file, and the next one
# is that of the next path. When something goes wrong the answer comes at once, and what is left of it is read.
# Answers: lines, and last one of
#   =                done                                     ! WHY          failed
# Lines before: "e NAME MODE SIZE MTIME ATIME" describes, "t TARGET", "d SIZE" and so many bytes that were read. `w` has
# one answer for each file.
use strict;
use Fcntl qw(O_WRONLY O_CREAT O_RDONLY O_NONBLOCK SEEK_SET);
use Errno qw(ENOENT ENOTDIR EEXIST EINTR);

my $piece = 1 << 18;
my $buffer = '';

sub say_all {
    my ($data, $at) = ($_[0], 0);
    while ($at < length $data) {
        my $wrote = syswrite STDOUT, $data, length($data) - $at, $at;
        if (defined $wrote) { $at += $wrote }
        elsif ($! != EINTR) { exit 1 }
    }
}

sub done { say_all("=\n") }
sub failed { say_all('! ' . unpack('H*', $_[0]) . "\n") }
sub answer { $_[0] ? done() : failed("$!") }

sub more { # of what comes; ends with it
    while (1) {
        my $read = sysread STDIN, $buffer, 65536, length $buffer;
        return if $read;
        exit 0 if defined $read || $! != EINTR;
    }
}

sub line {
    my ($end, $from) = (-1, 0);
    while (($end = index $buffer, "\n", $from) < 0) {
        $from = length $buffer;
        more();
    }
    my $line = substr $buffer, 0, $end + 1, '';
    chop $line;
    return $line;
}

sub describe {
    my ($name, @found) = @_;
    say_all(join(' ', 'e', unpack('H*', $name), @found[2, 7, 9, 8]) . "\n"); # mode, size, dates
}

sub list_entries {
    my $path = shift;
    opendir my $directory, $path or return failed("$!");
    for my $name (sort grep { $_ ne '.' && $_ ne '..' } readdir $directory) {
        my @found = lstat "$path/$name";
        describe($name, @found) if @found; # else it is gone meanwhile
    }
    done();
}

sub read_file {
    my ($path, $offset) = @_;
    # Not blocking: a named pipe whose other end nobody opens would hold us for ever.
    sysopen my $file, $path, O_RDONLY | O_NONBLOCK or return failed("$!");
    sysseek $file, $offset, SEEK_SET or return failed("$!") if $offset;
    while (1) {
        my $read = sysread($file, my $data, $piece);
        if ($read) { say_all("d $read\n$data") }
        elsif (defined $read) { return done() }
        elsif ($! != EINTR) { return failed("$!") }
    }
}

sub write_file {
    my ($path, $offset, $mode) = @_;
    my ($why, $file) = '';
    my $fails = sub { failed($why = "$!") if !$why };
    sysopen($file, $path, O_WRONLY | O_CREAT | O_NONBLOCK, oct $mode) && truncate($file, $offset)
        && sysseek($file, $offset, SEEK_SET) or $fails->();
    while (my $left = line()) {
        while ($left) {
            more() if !length $buffer;
            my $data = substr $buffer, 0, $left, '';
            $left -= length $data;
            my $at = 0;
            while (!$why && $at < length $data) {
                my $wrote = syswrite $file, $data, length($data) - $at, $at;
                if (defined $wrote) { $at += $wrote }
                elsif ($! != EINTR) { $fails->() }
            }
        }
    }
    # What a file system says at the end only (quota, NFS) is told too.
    $fails->() if defined fileno $file && !close $file;
    done() if !$why;
}

sub understand {
    my ($what, @words) = split ' ', $_[0];
    if ($what eq 'w') {
        my ($offset, $mode, @paths) = @words;
        write_file(pack('H*', $_), $offset, $mode) for @paths;
        return;
    }
    my $path = pack 'H*', $words[0];
    if ($what eq 's' || $what eq 'S') {
        my @found = $what eq 's' ? stat $path : lstat $path;
        describe('', @found) if @found;
        return @found || $! == ENOENT || $! == ENOTDIR ? done() : failed("$!");
    }
    if ($what eq 'l') { return list_entries($path) }
    if ($what eq 'r') { return read_file($path, $words[1]) }
    if ($what eq 'd') { return answer(mkdir($path) || $! == EEXIST && -d $path) }
    if ($what eq 't') {
        my $to = readlink $path;
        say_all('t ' . unpack('H*', $to) . "\n") if defined $to;
        return answer(defined $to);
    }
    if ($what eq 'k') {
        my $place = pack 'H*', $words[1];
        unlink $place if lstat $place and !-d _;
        return answer(symlink $path, $place);
    }
    if ($what eq 'a') { return answer(chmod(oct $words[1], $path) && utime($words[3], $words[2], $path)) }
    failed("not understood: $what");
}

$SIG{PIPE} = 'DEFAULT';
$SIG{XFSZ} = 'IGNORE'; # it is an error of the file then
understand(line()) while 1;

# A link with nc: what `receive` and `forward` of agent.sh are where there is neither Python nor Perl.
# nc is the wire only. The shell does the handshake with a SHA-256 of its own: `read` takes no byte too many, so that
# what follows the last line is data, for `cat`.
# shellcheck shell=sh
# shellcheck disable=SC2154,SC2034 # variables of agent.sh

# The bytes of a text, as numbers.
bytes_of() { printf '%s' "$1" | od -An -v -tu1; }

# The bytes that hexadecimal digits stand for, as numbers.
unhex() { printf '%s' "$1" | sed 's/../0x& /g'; }

# SHA-256 (FIPS 180-4) of bytes given as numbers. 64-bit arithmetic: what is above 32 bits is cut off at assignments.
sha256() {
    bits=$(($# * 8))
    set -- "$@" 128
    while [ $(($# % 64)) -ne 56 ]; do set -- "$@" 0; done
    set -- "$@" 0 0 0 0 0 0 $((bits >> 8)) $((bits & 255))
    h0=0x6a09e667 h1=0xbb67ae85 h2=0x3c6ef372 h3=0xa54ff53a h4=0x510e527f h5=0x9b05688c h6=0x1f83d9ab h7=0x5be0cd19
    while [ $# -gt 0 ]; do
        words='' count=0
        while [ "$count" -lt 16 ]; do
            words="$words $(($1 << 24 | $2 << 16 | $3 << 8 | $4))"
            shift 4
            count=$((count + 1))
        done
        # shellcheck disable=SC2086
        mix $words
    done
    printf '%08x%08x%08x%08x%08x%08x%08x%08x' "$h0" "$h1" "$h2" "$h3" "$h4" "$h5" "$h6" "$h7"
}

mix() {
    a=$((h0)) b=$((h1)) c=$((h2)) d=$((h3)) e=$((h4)) f=$((h5)) g=$((h6)) h=$((h7))
    for k in $sha256_constants; do
        t=$((h + k + $1 + ((e & f) ^ (~e & g)) + ((e >> 6 | e << 26) ^ (e >> 11 | e << 21) ^ (e >> 25 | e << 7)))) # T1
        h=$g g=$f f=$e e=$(((d + t) & 0xffffffff)) d=$c
        t=$((t + ((a >> 2 | a << 30) ^ (a >> 13 | a << 19) ^ (a >> 22 | a << 10)) + ((a & b) ^ (a & c) ^ (b & c))))
        c=$b b=$a a=$((t & 0xffffffff))
        # The schedule is made as it is used: $1 is the word of this round, and the one of 16 rounds later is added.
        t=$((($2 >> 7 | $2 << 25) ^ ($2 >> 18 | $2 << 14) ^ ($2 >> 3)))
        t=$((t + ((${15} >> 17 | ${15} << 15) ^ (${15} >> 19 | ${15} << 13) ^ (${15} >> 10)) + $1 + ${10}))
        shift
        set -- "$@" $((t & 0xffffffff))
    done
    h0=$(((h0 + a) & 0xffffffff)) h1=$(((h1 + b) & 0xffffffff)) h2=$(((h2 + c) & 0xffffffff))
    h3=$(((h3 + d) & 0xffffffff)) h4=$(((h4 + e) & 0xffffffff)) h5=$(((h5 + f) & 0xffffffff))
    h6=$(((h6 + g) & 0xffffffff)) h7=$(((h7 + h) & 0xffffffff))
}

sha256_constants="
0x428a2f98 0x71374491 0xb5c0fbcf 0xe9b5dba5 0x3956c25b 0x59f111f1 0x923f82a4 0xab1c5ed5 0xd807aa98
0x12835b01 0x243185be 0x550c7dc3 0x72be5d74 0x80deb1fe 0x9bdc06a7 0xc19bf174 0xe49b69c1 0xefbe4786
0x0fc19dc6 0x240ca1cc 0x2de92c6f 0x4a7484aa 0x5cb0a9dc 0x76f988da 0x983e5152 0xa831c66d 0xb00327c8
0xbf597fc7 0xc6e00bf3 0xd5a79147 0x06ca6351 0x14292967 0x27b70a85 0x2e1b2138 0x4d2c6dfc 0x53380d13
0x650a7354 0x766a0abb 0x81c2c92e 0x92722c85 0xa2bfe8a1 0xa81a664b 0xc24b8b70 0xc76c51a3 0xd192e819
0xd6990624 0xf40e3585 0x106aa070 0x19a4c116 0x1e376c08 0x2748774c 0x34b0bcb5 0x391c0cb3 0x4ed8aa4a
0x5b9cca4f 0x682e6ff3 0x748f82ee 0x78a5636f 0x84c87814 0x8cc70208 0x90befffa 0xa4506ceb 0xbef9a3f7
0xc67178f2
"

# HMAC-SHA256 (RFC 2104) of a text with the secret, which is 32 bytes.
hmac() {
    inner='' outer=''
    for byte in $(unhex "$secret"); do
        inner="$inner $((byte ^ 54))" outer="$outer $((byte ^ 92))"
    done
    for byte in 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0; do
        inner="$inner $((byte ^ 54))" outer="$outer $((byte ^ 92))"
    done
    # shellcheck disable=SC2046,SC2086
    digest=$(sha256 $inner $(bytes_of "$1"))
    # shellcheck disable=SC2046,SC2086
    sha256 $outer $(unhex "$digest")
}

# Make a pipe in each direction, open on both sides: ours 4 (from nc) and 5 (to nc), those of nc 7 and 6. An open for
# both reading and writing never waits, and lets the others not wait either. Nothing stays on the disk.
# shellcheck disable=SC2094 # one file on purpose
open_wire() {
    { mkdir "$scratch" && mkfifo "$scratch/to" "$scratch/from"; } || fail "cannot make a FIFO in $place"
    exec 9<>"$scratch/to" 5>"$scratch/to" 6<"$scratch/to"
    exec 9<>"$scratch/from" 4<"$scratch/from" 7>"$scratch/from" 9>&-
    rm -rf "$scratch"
}

# nc, in place of a subshell, with its ends of the wire alone: a copy of ours would hide the end of a connection.
listen_on() {
    exec <&6 >&7 2>/dev/null 3>&- 4>&- 5>&- 6>&- 7>&- 8>&-
    # shellcheck disable=SC2086
    case $nc_kind in
    openbsd) exec $program -l "$1" 0 ;;
    traditional) exec $program -l -s "$1" ;;
    busybox) exec $program -l "$1" ;;
    esac
}

# Its complaint, when it can't connect, is read where an answer should be.
connect_to() {
    exec <&6 >&7 2>&7 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-
    # At the end of its input it has to say so to the other side, which is what -N and -q are about.
    # shellcheck disable=SC2086
    case $nc_kind in
    openbsd) exec $program -N "$1" "$2" ;;
    traditional) exec $program -q 1 "$1" "$2" ;;
    busybox) exec $program "$1" "$2" ;;
    esac
}

# The port that the kernel has chosen for a process that listens, as soon as it does: what the kinds of nc print, if
# anything, differs.
# shellcheck disable=SC2012 # names are numbers
port_of() {
    while kill -0 "$1"; do
        for inode in $(ls -l "/proc/$1/fd" | sed -n 's/.*socket:\[\([0-9]*\)\]$/\1/p'); do
            port=$(awk -v inode="$inode" '$10 == inode && $4 == "0A" { sub(/.*:/, "", $2); print $2; exit }' \
                /proc/net/tcp /proc/net/tcp6)
            [ -z "$port" ] || {
                echo "$((0x$port))"
                return
            }
        done
        sleep 0.02
    done
} 2>/dev/null

receive() {
    for address in "$3" 0.0.0.0; do
        open_wire
        listen_on "$address" &
        receiver=$! receiver_ends=$!
        exec 6<&- 7>&-
        port=$(port_of "$receiver_ends")
        [ -z "$port" ] || break
    done
    if [ -n "$port" ]; then
        take_in "$1" "$2" &
        receiver=$!
        say "listening $1 $port"
    else
        say "lost $1 $program cannot listen on $3"
    fi
    exec 4<&- 5>&-
}

take_in() {
    trap '' PIPE
    link=$1 nonce=$2
    IFS= read -r line <&4 || line=
    # shellcheck disable=SC2086
    set -- $line
    if [ "$#" -ne 4 ] || [ "$1 $2 $3" != "execo-chain 1 $link" ]; then
        say "lost $link somebody else came"
        exit
    fi
    about="execo-chain 1 $link $4 $nonce"
    printf '%s\n' "$nonce $(hmac "listen $about")" >&5
    IFS= read -r line <&4 || line=
    if [ "$line" != "$(hmac "connect $about")" ]; then
        say "lost $link somebody came who does not know the secret"
        exit
    fi
    printf '%s\n' "$(size_of "$content")" >&5
    say "linked $link"
    reason=$(cat <&4 2>&1 >&8) || fail "${reason##*: }"
    size=$(size_of "$content")
    if [ "$size" -ne "$total" ]; then
        say "lost $link the connection ended"
        exit
    fi
    # shellcheck disable=SC2046
    set -- $("$sum" <"$content")
    say "whole $sum $1"
}

forward() {
    open_wire
    exec 9<"$content"
    connect_to "$3" "$4" &
    sender_ends=$!
    exec 6<&- 7>&-
    give "$1" "$2" &
    sender=$!
    exec 4<&- 5>&- 9<&-
}

give() {
    trap '' PIPE
    link=$1 nonce=$2
    printf '%s\n' "execo-chain 1 $link $nonce" >&5
    IFS= read -r line <&4 || line='no connection'
    # shellcheck disable=SC2086
    set -- $line
    about="execo-chain 1 $link $nonce ${1-}"
    if [ "$#" -ne 2 ] || [ "$2" != "$(hmac "listen $about")" ]; then
        say "broken $link $line"
        exit
    fi
    printf '%s\n' "$(hmac "connect $about")" >&5
    IFS= read -r from <&4 || from=
    case $from in '' | *[!0-9]*)
        say "broken $link refused"
        exit
        ;;
    esac
    dd bs=1 count=0 skip="$from" <&9 2>/dev/null
    while :; do
        here=$(size_of "$content")
        reason=$(cat <&9 2>&1 >&5) || {
            say "broken $link ${reason##*: }"
            exit
        }
        [ "$here" -lt "$total" ] || break
        sleep 0.1
    done
    exec 5>&-
    cat <&4 >/dev/null
}

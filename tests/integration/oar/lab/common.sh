# What the scripts of the lab share. Sourced by bash, as root, in a mount namespace of their own.
set -eu
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH LC_ALL=C.UTF-8
unset TMPDIR PGHOST PGPORT PGUSER PGDATABASE PGPASSWORD
DOMAIN=lab.example.org
CORES=2 # of each node
# Everything that a lab writes is here, in memory: it goes with the mount namespace, however that ends.
LAB=/run/lab

private_run() { # a /run of our own
    mount --make-rprivate /
    mount -t tmpfs -o mode=755 tmpfs /run
    mkdir -p "$LAB" /run/sshd /run/lock
}

overlay() { # DIRECTORY UPPER: what is written to DIRECTORY goes to UPPER
    mkdir -p "$2" "$2.work"
    mount -t overlay overlay -o "lowerdir=$1,upperdir=$2,workdir=$2.work" "$1"
}

private_dev() { # a /dev with terminals of our own; no device of the machine's but those that every program needs
    mount -t tmpfs -o mode=755 tmpfs /mnt
    mkdir /mnt/pts /mnt/shm
    local device
    for device in null zero full random urandom tty; do
        : >"/mnt/$device"
        mount --bind "/dev/$device" "/mnt/$device"
    done
    mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts /mnt/pts
    mount -t tmpfs -o mode=1777 tmpfs /mnt/shm
    ln -s pts/ptmx /mnt/ptmx
    ln -s /proc/self/fd /mnt/fd
    ln -s fd/0 /mnt/stdin
    ln -s fd/1 /mnt/stdout
    ln -s fd/2 /mnt/stderr
    mount --move /mnt /dev
}

private_tmp() { # OAR removes what a job's user has left in these
    local directory
    for directory in /tmp /var/tmp; do mount -t tmpfs -o mode=1777 tmpfs "$directory"; done
}

postgres_do() { # PROGRAM ARGUMENTS...: as the user postgres
    local programs
    programs=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
    (cd / && exec setpriv --reuid=postgres --regid=postgres --init-groups \
        env -i "PATH=$programs:/usr/bin:/bin" LC_ALL=C.UTF-8 "$@")
}

sql() { # statements on stdin, as OAR's own user of the database
    PGPASSWORD=oar psql --quiet --no-psqlrc -v ON_ERROR_STOP=1 -h 127.0.0.1 -U oar oar
}

address() { # NUMBER OF NODE
    echo "10.77.1.$1"
}

# The ordinary ssh server, for users and root: words for exec.
ssh_server=(/usr/sbin/sshd -e -f /dev/null -h /etc/ssh/lab_host_key -o Port=22 -o PidFile=none -o UsePAM=no -o UseDNS=no
    -o PermitRootLogin=prohibit-password -o MaxStartups=1000 -o MaxSessions=1000 -o PrintMotd=no -o SetEnv=SHLVL=1
    -o Subsystem="sftp internal-sftp" -o LogLevel=ERROR)

#!/bin/bash
# What all labs start from, as a tar file on stdout: /etc with users and OAR's configuration, their homes, OAR's files,
# and a database with OAR's schema. Runs in mount, network and process namespaces of its own and leaves nothing.
exec 3>&1 >&2
. "$(dirname "$0")/common.sh"
private_run
private_tmp
mount -t proc proc /proc
ip link set lo up

mkdir -p "$LAB/etc" "$LAB/home" "$LAB/empty"
cp -a /etc/oar "$LAB/etc/oar"
cp -a /var/lib/oar "$LAB/var-lib-oar"
overlay /etc "$LAB/etc"
mount --bind "$LAB/home" /home

# Users, who may log in everywhere by the same key.
uid=3000
for user in alice bob; do
    uid=$((uid + 1))
    useradd -m -k "$LAB/empty" -u $uid -s /bin/bash $user
    usermod -p '*' $user # no password, and not locked
    mkdir -m 700 /home/$user/.ssh
    ssh-keygen -q -t ed25519 -N '' -f /home/$user/.ssh/id_ed25519 -C $user@lab
    cp /home/$user/.ssh/id_ed25519.pub /home/$user/.ssh/authorized_keys
    printf 'Host *\n StrictHostKeyChecking no\n UserKnownHostsFile /dev/null\n LogLevel ERROR\n' >/home/$user/.ssh/config
    chown -R $user:$user /home/$user
done
ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/lab_host_key -C lab

# OAR. Without cgroups (a machine with version 2 only has none that OAR 2.5 knows), without a check of the nodes before
# each job, and with one ssh connection per node that all jobs share: a job runs about a second after its submission.
# The periods of its server are written in its program, and make a client wait up to a minute.
sed -i \
    -e 's/^DB_BASE_PASSWD=.*/DB_BASE_PASSWD="oar"/; s/^DB_BASE_PASSWD_RO=.*/DB_BASE_PASSWD_RO="oar_ro"/' \
    -e 's|^LOG_FILE=.*|LOG_FILE="/var/lib/oar/oar.log"|; s/^LOG_LEVEL=.*/LOG_LEVEL="3"/' \
    -e 's/^SCHEDULER_JOB_SECURITY_TIME=.*/SCHEDULER_JOB_SECURITY_TIME="1"/' \
    -e 's/^SCHEDULER_GANTT_HOLE_MINIMUM_TIME=.*/SCHEDULER_GANTT_HOLE_MINIMUM_TIME="1"/' \
    -e 's/^PINGCHECKER_/#&/; s/^JOB_RESOURCE_MANAGER_PROPERTY_DB_FIELD/#&/' \
    -e 's/^#*WALLTIME_CHANGE_ENABLED=.*//; s/^#*WALLTIME_MAX_INCREASE=.*//; s/^#*WALLTIME_CHANGE_APPLY_TIME=.*//' \
    -e '/^OPENSSH_CMD=/d' /etc/oar/oar.conf
cat >>/etc/oar/oar.conf <<'END'
SCHEDULER_MIN_TIME_BETWEEN_2_CALLS="0"
WALLTIME_CHANGE_ENABLED="yes"
WALLTIME_MAX_INCREASE=3600
WALLTIME_CHANGE_APPLY_TIME=0
PINGCHECKER_GENERIC_COMMAND="/bin/true"
OARSH_BYPASS_WHOLE_SECURITY="1"
OPENSSH_CMD="/usr/bin/ssh -p 6667 -e none -o ControlMaster=auto -o ControlPath=/run/oar-ssh/%h -o ControlPersist=600"
END
mkdir "$LAB/usr-lib-oar"
sed -e 's/^my \$read_commands_timeout = .*/my $read_commands_timeout = 1;/' \
    -e 's/^my \$schedulertimeout = .*/my $schedulertimeout = 3;/' \
    -e 's/^my \$villainstimeout = .*/my $villainstimeout = 2;/' \
    /usr/lib/oar/Almighty >"$LAB/usr-lib-oar/Almighty"
chmod 755 "$LAB/usr-lib-oar/Almighty"
# Options that today's OpenSSH no longer has.
sed -i -e '/^UsePrivilegeSeparation/d; /^KeepAlive/d' /etc/oar/sshd_config

# The database.
install -d -o postgres -g postgres -m 700 "$LAB/database"
echo administrator >"$LAB/password"
chmod 644 "$LAB/password"
postgres_do initdb -D "$LAB/database" -E UTF8 --no-locale --no-sync -A scram-sha-256 --pwfile="$LAB/password"
cat >>"$LAB/database/postgresql.conf" <<END
fsync = off
full_page_writes = off
listen_addresses = '*'
unix_socket_directories = ''
shared_buffers = 16MB
jit = off
END
echo 'host all all 10.77.0.0/16 scram-sha-256' >>"$LAB/database/pg_hba.conf"
postgres_do pg_ctl -s -D "$LAB/database" -l "$LAB/database/log" -w start
oar-database --create --db-admin-user=postgres --db-admin-pass=administrator
sql <<'END'
ALTER TABLE resources ADD host varchar(255), ADD cluster varchar(255), ADD cpu integer, ADD core integer,
  ADD switch varchar(255), ADD memnode integer, ADD wattmeter varchar(255), ADD vlan varchar(255);
END
postgres_do pg_ctl -s -D "$LAB/database" -m fast -w stop
sed -i 's/^DB_HOSTNAME=.*/DB_HOSTNAME="10.77.0.1"/; s/^SERVER_HOSTNAME=.*/SERVER_HOSTNAME="10.77.0.1"/' /etc/oar/oar.conf
tar --numeric-owner -C "$LAB" -cf - etc home var-lib-oar usr-lib-oar database >&3

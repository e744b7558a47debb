#!/bin/bash
# node.sh NUMBER: one node, in namespaces of its own; ends as its ssh server, process 1 of the node.
. "$(dirname "$0")/common.sh"
number=$1
mount --make-rprivate /
mount -t proc proc /proc
hostname "node-$number.$DOMAIN"
ip link set lo up
ip addr add "$(address "$number")/16" dev eth0
ip link set eth0 up
ip route add default via 10.77.0.1
private_dev
# OAR's own directory is each node's; /etc and /home are the same files everywhere, as on a site with a file server.
mount -t tmpfs -o mode=755 tmpfs /mnt
cp -a /var/lib/oar/. /mnt/
chown oar:oar /mnt
mount --move /mnt /var/lib/oar
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/sshd -m 755
mkdir -p -m 700 /run/root/.ssh
install -d -o oar -g oar -m 700 /run/oar-ssh
cat /home/*/.ssh/id_ed25519.pub >/run/root/.ssh/authorized_keys
mount --bind /run/root /root
private_tmp
cd /
/usr/sbin/sshd -f /etc/oar/sshd_config -o PidFile=none
exec "${ssh_server[@]}" -D </dev/null

#!/bin/bash
# site.sh NODES: one site, from the template on stdin. This process is the frontend and the server, and process 1 of its
# namespace: all the site ends with it. Prints "ready" when jobs can be submitted; the nodes come up meanwhile.
exec 3>&1 >&2
here=$(dirname "$0")
. "$here/common.sh"
nodes=$1
ulimit -n 4096 # oar-server closes as many files, one by one
private_run
mount -t proc proc /proc
tar --numeric-owner -C "$LAB" -xf -
cp "$here"/*.sh "$LAB/" # a clone below /tmp is out of sight soon
exec </dev/null

hostname frontend.$DOMAIN
ip link set lo up
ip link add br0 type bridge
ip addr add 10.77.0.1/16 dev br0
ip link set br0 up
overlay /etc "$LAB/etc"
overlay /usr/lib/oar "$LAB/usr-lib-oar"
mount --bind "$LAB/var-lib-oar" /var/lib/oar
mount --bind "$LAB/home" /home
private_tmp
private_dev
{
    echo "127.0.0.1 localhost"
    echo "10.77.0.1 frontend.$DOMAIN frontend"
    for number in $(seq "$nodes"); do echo "$(address "$number") node-$number.$DOMAIN node-$number"; done
} >/etc/hosts

for number in $(seq "$nodes"); do
    ip netns add "node-$number"
    ip link add "node-$number" type veth peer name eth0 netns "node-$number"
    ip link set "node-$number" master br0 up
    nsenter --net="/run/netns/node-$number" unshare --mount --uts --ipc --pid --fork --kill-child \
        bash "$LAB/node.sh" "$number" </dev/null 3>&- &
done

postgres_do pg_ctl -s -D "$LAB/database" -l "$LAB/database/log" -w start
sql <<END
INSERT INTO resources (type, state, state_num, network_address, host, cluster, deploy, switch, cpu, core, cpuset)
  SELECT 'default', 'Alive', 1, name, name, 'labcluster', 'NO', 'switch-' || (n + 1) / 2, n, (n - 1) * $CORES + c, c - 1
  FROM generate_series(1, $nodes) n, generate_series(1, $CORES) c,
    LATERAL (SELECT 'node-' || n || '.$DOMAIN' AS name) names ORDER BY n, c;
INSERT INTO resource_logs (resource_id, attribute, value, date_start)
  SELECT resource_id, 'state', 'Alive', extract(epoch FROM now())::int FROM resources;
END
install -d -o oar -g oar -m 700 /run/oar-ssh
"${ssh_server[@]}"
/usr/sbin/sshd -f /etc/oar/sshd_config -o PidFile=none
/usr/sbin/oar-server
echo ready >&3
exec 3>&-
while :; do # somebody has to wait for those whose parent has gone
    sleep 3600 &
    wait $! || :
done

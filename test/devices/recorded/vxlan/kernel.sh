# Two nodes with an overlay's namespaces, as dockerd's netlink calls make them, without dockerd: n{1,2}h the node, n{1,2}o br0 + vxlan0 + veth0, n{1,2}t the task.
D=$PWD/out; rm -rf $D; mkdir -p $D
for n in wfab n1h n1o n1t n2h n2o n2t wcl; do ip netns del $n 2>/dev/null; ip netns add $n; ip netns exec $n sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1; ip netns exec $n ip link set lo up; done
x() { ip netns exec "$@"; }
off() { x $1 ethtool -K $2 tx off rx off tso off gso off gro off >/dev/null 2>&1; }
x wfab ip link add br-fab type bridge stp_state 0 forward_delay 0 mcast_snooping 0; x wfab ip link set br-fab up
plug() { ip link add q-$1 netns wfab type veth peer name eth0 netns $1 address $2; x wfab ip link set q-$1 master br-fab up; off wfab q-$1; off $1 eth0; x $1 ip addr add $3/24 dev eth0; x $1 ip link set eth0 up; }
plug n1h 52:54:00:00:00:6e 192.168.99.110; plug n2h 52:54:00:00:00:6f 192.168.99.111; plug wcl 52:54:00:00:00:01 192.168.99.1
i=0
for n in n1 n2; do
  h=$( [ $n = n1 ] && echo a || echo b ); p=$( [ $n = n1 ] && echo b || echo a ); far=192.168.99.$( [ $n = n1 ] && echo 111 || echo 110 )
  x ${n}h ip link add vxlan0 type vxlan id 4097 proxy l2miss l3miss learning dstport 4789 udpcsum
  x ${n}h ip link set vxlan0 netns ${n}o
  x ${n}o ip link set vxlan0 address 02:00:00:00:0${n#n}:01 mtu 1450
  x ${n}o ip link add br0 type bridge; x ${n}o ip link set br0 mtu 1450; x ${n}o ip addr add 10.0.9.1/24 dev br0
  x ${n}o ip link add veth0 mtu 1450 address 02:00:00:00:0${n#n}:02 type veth peer name eth0 netns ${n}t mtu 1450 address 02:42:0a:00:09:0$h
  off ${n}o veth0; off ${n}t eth0; off ${n}o vxlan0; off ${n}o br0
  x ${n}o ip link set vxlan0 master br0 up; x ${n}o ip link set veth0 master br0 up; x ${n}o ip link set br0 up
  x ${n}t sysctl -qw net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.eth0.disable_ipv6=0 net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.eth0.accept_dad=0 net.ipv6.conf.eth0.router_solicitations=0
  x ${n}t ip addr add 10.0.9.1$( [ $n = n1 ] && echo 0 || echo 1 )/24 dev eth0; x ${n}t ip -6 addr add 2001:db8:9::$h/64 dev eth0 nodad; x ${n}t ip link set eth0 up
  P=02:42:0a:00:09:0$p
  x ${n}o bridge fdb add $P dev vxlan0 dst $far self permanent
  x ${n}o ip neigh add 10.0.9.1$( [ $n = n1 ] && echo 1 || echo 0 ) lladdr $P dev vxlan0 nud permanent
  x ${n}o sysctl -qw net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.vxlan0.disable_ipv6=0 2>/dev/null
  x ${n}o ip -6 neigh add 2001:db8:9::$p lladdr $P dev vxlan0 nud permanent
  x ${n}o ip -6 neigh add fe80::42:aff:fe00:90$p lladdr $P dev vxlan0 nud permanent
  x ${n}t ip neigh add 10.0.9.1$( [ $n = n1 ] && echo 1 || echo 0 ) lladdr $P dev eth0; x ${n}t ip -6 neigh add 2001:db8:9::$p lladdr $P dev eth0
done
x n1o sysctl -qw net.ipv6.conf.br0.disable_ipv6=1 net.ipv6.conf.veth0.disable_ipv6=1; x n2o sysctl -qw net.ipv6.conf.br0.disable_ipv6=1 net.ipv6.conf.veth0.disable_ipv6=1
# for nd: a router, a neighbour that is not connected, one whose MAC is local (no VTEP), one with no fdb entry at all
x n1o ip -6 neigh add 2001:db8:9::c lladdr 02:42:0a:00:09:0c dev vxlan0 nud permanent; x n1o bridge fdb add 02:42:0a:00:09:0c dev vxlan0 dst 192.168.99.111 self permanent router
x n1o ip -6 neigh add 2001:db8:9::d lladdr 02:42:0a:00:09:0b dev vxlan0 nud stale
x n1o ip -6 neigh add 2001:db8:9::e lladdr 02:42:0a:00:09:0e dev vxlan0 nud permanent
x n1o ip -6 neigh add 2001:db8:9::f lladdr 02:42:0a:00:09:0b dev vxlan0 nud reachable
x n1o ip neigh add 10.0.9.12 lladdr 02:42:0a:00:09:0b dev vxlan0 nud stale
x n1o ip neigh add 10.0.9.13 lladdr 02:42:0a:00:09:0b dev vxlan0 nud reachable
sleep 2; x n1t ping -c1 -W2 10.0.9.11; x n1t ping -6 -c1 -W2 2001:db8:9::b
stats() { echo "## $1"; for k in n1 n2; do x ${k}o ip -s -s link show vxlan0; x ${k}o nstat -as 2>/dev/null | grep -i ecn; done; }
cap() { mkdir -p $D/$1; for k in n1h n1o n1t n2h n2o n2t; do echo "/run/netns/$k $k"; done > $D/list; ./multicap $D/$1 < $D/list > $D/out 2>&1 & CP=$!; for i in $(seq 50); do grep -q running $D/out && break; sleep 0.2; done; }
end() { sleep 2; kill -TERM $CP; wait $CP; stats $1 >> $D/stats.txt 2>&1; for f in $D/$1/*.pcap; do [ $(stat -c %s $f) -le 24 ] && rm -f $f; done; }
F=./frames.py
x n1o bash -c 'ip -d link show vxlan0; ip neigh; ip -6 neigh; bridge fdb' > $D/state.txt
stats before > $D/stats.txt 2>&1
for l in hash ecn nd; do cap $l; x n1t python3 $F eth0 $l; end $l; done
x n1h ip route add 192.168.99.111 dev eth0 mtu 1400
cap big; x n1t python3 $F eth0 big; end big
x n1h ip route del 192.168.99.111 dev eth0 mtu 1400
cap decap; x wcl python3 $F eth0 decap 4097; end decap
uname -a >> $D/state.txt

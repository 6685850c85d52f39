/** What `swarmwire node --help` teaches. */
export const NODE_HELP = `usage: swarmwire node [OPTIONS] NODE [--] [COMMAND...]
       swarmwire node [OPTIONS] STACK.yml NODE [--] COMMAND...

Runs a command on a node itself, as on a real host: iptables, ipvsadm, brctl, bridge, ip (and ip netns), conntrack, nsenter,
tcpdump, sysctl, netstat, curl, ping and more, with the real ones' output, from the simulation's tables. Commands that change a
node (iptables -A, ip link set, ip route add, sysctl -w, ...) change what its packets meet.

The node is one of a swarm that "swarmwire serve" serves. With a stack file there is no server: the swarm is stood up for this one
command, and nobody waits: time runs ahead.

  --host URL        where any of the swarm's engines listens: tcp://ADDRESS:PORT, unix:///DIR/NODE.sock or unix:///DIR
                    (default: DOCKER_HOST, else tcp://127.0.0.1:2375)
  -t                a terminal; without a command there is one, if you have one
  -w, --workdir DIR where the command runs (default: /root)
  --seed N          with a stack file: what is drawn at random is drawn anew (default: 1)

One COMMAND with spaces in it is a line for a shell. Standard input is passed on, unless it is a terminal.

Examples:

  swarmwire node node1 -- iptables -t nat -nvL
  swarmwire node node1 -- nsenter --net=/var/run/docker/netns/ingress_sbox ipvsadm -ln
  swarmwire node node2 -- 'ip -d link show type vxlan; ls /var/run/docker/netns'
  swarmwire node node1 -- tcpdump -i eth0 port 4789
  swarmwire node node1                               a shell
  swarmwire node examples/three-tier.yml node1 -- bridge fdb show

Exit codes: the command's own; 127 there is no such command; 2 bad input, or no swarm is served.`;

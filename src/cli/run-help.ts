/** What `swarmwire run --help` teaches. */
export const RUN_HELP = `usage: swarmwire run STACK.yml [OPTIONS]

Reads a stack file as "docker stack deploy" would, stands up the swarm that it describes, sends traffic through it and
writes what passed at every network interface. Nothing of it is real: no Docker, no root, and the machine's own network
is not touched.

  --nodes N        that many nodes, whatever the file says (without either: 3)
  --out DIR        where captures go (default: captures)
  --format FORMAT  pcapng: one file with every interface, and a comment on each frame that a hop changed (default)
                   pcap: a folder with a file per interface, for tools that read nothing else; it has no comments
                   none: no captures, the report alone: a load goes through in half the time
  --seed N         what is drawn at random is drawn anew: MAC addresses, ports, sequence numbers (default: 1).
                   The same file and seed give the same bytes on every machine
  --driver FILE    a network driver of your own, a JavaScript module; a network of the stack file names it with
                   "driver:" (may be given several times)
  --no-comments    frames alone: a smaller pcapng, written faster; without a word of it so if there is a load
  --workers N      a load is shared by N threads, an engine each; what comes of it is the same
  --comments       comments on a load's frames as well
  --json           one JSON document on standard output instead of text, for programs

What traffic? An "x-swarmwire" section in the stack file may say so; without it the client outside the swarm tries every
published port through every node:

  x-swarmwire:
    nodes: 3
    traffic:
      - http: { from: client, to: "node1:8080", requests: 3 }
      - udp: { from: client, to: "node2:5353", size: 64 }
      - ping: { from: client, to: node3 }
      - load: { from: client, to: "node1:8080", flows: 100, packets: 100000, size: 64, rate: 50kpps }

Examples:

  swarmwire run examples/three-tier.yml
      three services on an overlay network, one published; the way of each request, hop by hop

  swarmwire run examples/round-robin.yml --nodes 5 --out /tmp/captures
      more nodes: each balances for itself

  swarmwire run compose.yml --format pcap && tcpdump -nr captures/compose/client.host.eth0.pcap
      what the client saw

  swarmwire run compose.yml --json | jq '.flows[] | select(.ok | not)'
      the flows that failed

Looking at a pcapng that holds every interface:

  wireshark captures/three-tier.pcapng          the column "Interface name" says where a frame was seen
  tshark -r captures/three-tier.pcapng -Y 'frame.comment contains "DOCKER-INGRESS"' -T fields -e frame.comment
  tshark -r captures/three-tier.pcapng -Y 'frame.interface_name == "node1/host/eth0"'

Ctrl-C ends a run early: captures are whole up to then, and the report says what is missing.

Exit codes: 0 every flow was answered, 1 a flow failed, 2 bad input (nothing is written then), 130 interrupted.`;

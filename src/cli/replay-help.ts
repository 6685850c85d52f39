/** What `swarmwire replay --help` teaches. */
export const REPLAY_HELP = `usage: swarmwire replay IN.pcap --at DEVICE STACK.yml [OPTIONS]

Stands up the swarm that a stack file describes, injects the frames of a capture (pcap or pcapng) at one of its devices, and
writes what passed at every network interface. No other traffic is sent: the stack's own "x-swarmwire" traffic is not.
Services listen and answer.

  --at DEVICE        where: node/namespace/device, as captures name it: node1/host/eth0
  --as received      as if the wire had brought the frames to the device (default)
  --as transmitted   as if the device's namespace had sent them
  --interface NAME   the interface of a pcapng that holds several; without it the one that is called as DEVICE is
  --nodes N          that many nodes, whatever the stack file says
  --driver FILE      a network driver of your own, a JavaScript module (may be given several times)
  --out DIR          where captures go (default: captures), as IN.replay.pcapng
  --format FORMAT    pcapng: one file with every interface, and comments (default); pcap: a folder with a file each
  --seed N           what is drawn at random is drawn anew (default: 1). A swarm has the same MAC addresses as in
                     "swarmwire run" with the same seed
  --json             one JSON document on standard output instead of text, for programs

Frames are injected as they are, at their times; the first one's is kept, so the captures can be laid beside the original. A
capture made at the device itself has both directions: only those that go the chosen way are injected. Which they are is in
the file, or told by the device's MAC. A capture that swarmwire made at another device is taken for the other end of the wire.

A frame ends as OTHERHOST where its destination MAC is not the device's. Give the node the recorded machine's MAC and address
in the stack file:

  x-swarmwire:
    nodes: [{ name: node1, mac: "52:54:00:12:34:56", address: 192.168.1.10/24 }]

Whoever sent the frames stands outside of the simulation: where the swarm has such an address, what comes back to it is taken
and not answered. Services that answer draw TCP sequence numbers of their own, so what acknowledges the recorded ones does not
fit: of TCP the first packets can be replayed, of UDP, ICMP and ARP all.

Examples:

  swarmwire run stack.yml && swarmwire replay captures/stack.pcapng --interface client/host/eth0 --at node1/host/eth0 stack.yml
      what the client sent, once more

  swarmwire replay real.pcap --at node1/host/eth0 stack.yml --format pcap
      what a real node received; swarmwire diff compares what came of it

Exit codes: 0 the frames were injected (whatever became of them), 1 captures are not whole, 2 bad input (nothing is written).`;

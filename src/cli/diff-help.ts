/** What `swarmwire diff --help` teaches. */
export const DIFF_HELP = `usage: swarmwire diff A B [OPTIONS]

Compares two captures frame by frame: pcap or pcapng, written by swarmwire or taken from real machines. Each difference is
told in words, with the names that Wireshark's display filters have for fields, through VXLAN.

Interfaces are compared by name where both files have names; else all frames of A with all of B. Frames are matched flow by
flow, in order within a flow: never by their times, so the clocks of the two files do not matter.

  --mask FIELDS      fields to pass over, with commas between them: udp.srcport,ip.id. Each is meant wherever it stands in
                     a frame; outer:ip.id is that of a header that carries VXLAN, inner:ip.id that of one inside.
                     A checksum over a masked field may differ, as long as each frame's own is right.
                     A masked port no longer tells one flow from another; parallel flows are matched as they begin
  --interface NAME   only this interface (of a file whose interfaces have no names: all of it)
  --vxlan-port N     the UDP port of VXLAN (default: 4789)
  --limit N          tell at most N differences (default: 10; with --json: all)
  --json             one JSON document on standard output instead of text, for programs

The last line is for programs:

  frames: N compared, N identical, N masked, N different

A file that was cut short is read up to the cut, and that is said. Frames that a snap length cut are compared as far as both
files have them.

Examples:

  swarmwire diff before.pcapng after.pcapng

  swarmwire diff captures/stack/node1.host.eth0.pcap real.pcap --mask outer:udp.srcport,outer:ip.id
      simulated and real: what a kernel draws at random is passed over

  swarmwire diff captures/stack.pcapng real.pcap --interface node1/host/eth0
      one interface of a capture that holds them all

  swarmwire diff a.pcapng b.pcapng --json | jq '.fields'
      in which fields, and how often

Exit codes: 0 equal (but for masks), 1 different, 2 a file cannot be read, or bad input.`;

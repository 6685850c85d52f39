/** What `swarmwire conformance --help` teaches. */
export const CONFORMANCE_HELP = `usage: swarmwire conformance [DIR...] [OPTIONS]
       swarmwire conformance --live [--out OUT]

Replays what clients and tasks of a real Docker Swarm sent, and compares every frame at every interface with what was
captured there. A DIR is a recorded scenario (inputs.json and its captures) or a directory of such folders; without one
it is test/oracle of the source.

  --mode MODE   path: every frame that an endpoint sent is injected, and the way is compared
                stack: only what applications sent is; ARP, echo replies, resets and errors must come from our own stack
                (default: both)
  --out OUT     write what our taps saw as pcap files of the same names, OUT/SCENARIO/*.pcap; where both modes are
                compared, those of stack mode are in OUT/SCENARIO/stack/

  --live        on Linux as root, with \`ip\` at hand: no recording; the same stimulus through this machine's own kernel, in
                network namespaces made for it and taken away again, and through the engine

A frame is identical, or masked (the same but for fields that the kernel draws at random: the table names them), or
different. The first differences are told in words. What our layers programmed is compared with the state dumps too; such a
difference is told and does not change the exit code. The last two lines are for programs:

  scenarios: N compared, N waiting
  frames: N compared, N identical, N masked, N different

Examples:

  swarmwire conformance
  swarmwire conformance --mode path test/oracle/S6-ingress
  swarmwire conformance test/oracle/S6-ingress --out /tmp/ours \\
    && tshark -r /tmp/ours/S6-ingress/node1.host.eth0.pcap

Exit codes: 0 nothing is different and something was compared in each directory; 1 something is different, or a
directory that was named is waiting for a part that is not built yet; 2 a scenario cannot be read, or bad input.`;

/** What `swarmwire draw --help` teaches. */
export const DRAW_HELP = `usage: swarmwire draw STACK.yml [OPTIONS]

Draws the swarm that a stack file stands up: nodes, namespaces, devices, addresses, networks. Writes two pictures of the same:
NAME.svg, for a browser, and NAME.mmd, a Mermaid flowchart for Markdown (between three backticks and "mermaid").

  --nodes N   that many nodes, whatever the file says (without either: 3)
  --driver FILE  a network driver of your own, a JavaScript module (may be given several times)
  --out DIR   where the pictures go (default: drawings)
  --seed N    as for "swarmwire run": the same seed draws the swarm that the run captures (default: 1)

How to read it: a box with a coloured edge is a network's bridge, other boxes are namespaces and network cards. A solid wire is
a veth pair, from the interface in the sandbox to the bridge's port, or a macvlan or ipvlan on its parent; a dashed one is VXLAN, in UDP to the other nodes; a
dotted one is the node's own routing and NAT. The thick line is the underlay.

Examples:

  swarmwire draw examples/three-tier.yml
  swarmwire draw examples/round-robin.yml --nodes 10 --out docs/pictures

Exit codes: 0 written, 2 bad input (nothing is written then).`;

/** What `swarmwire serve --help` teaches. */
export const SERVE_HELP = `usage: swarmwire serve [STACK.yml] [OPTIONS]

Docker Engines that are a simulation: one for each node, with the real Engine API, so that the real "docker" command drives
them. Containers are names and small built-in programs (a shell, ping, ip, nslookup, wget, curl, nc, tcpdump, nginx, redis);
their networks are simulated packet by packet, and every interface can be captured.

  --nodes N       that many nodes (default: what the stack file says, else 3). Without a stack file no node is in a swarm yet
  --driver FILE   a network driver of your own, a JavaScript module (may be given several times)
  --host URL      tcp://ADDRESS:PORT: node 1 listens there, node i on PORT + i - 1 (default: tcp://127.0.0.1:2375)
                  unix:///DIR: a socket for each node, DIR/NODE.sock
  --engine V      which engine they are: 20.10 (default) or 28
  --public        listen on an address that others reach. They can do whatever you can: there is no password
  --out DIR       keep captures of every interface there, written when the server ends
  --seed N        what is drawn at random is drawn anew (default: 1)

Examples:

  swarmwire serve &                                  prints a line for each node; then:
  export DOCKER_HOST=tcp://127.0.0.1:2375
  docker network create my-net
  docker run -dit --name alpine1 --network my-net alpine ash
  docker run --rm --network my-net alpine ping -c 3 alpine1

  swarmwire serve examples/three-tier.yml            the stack is deployed: docker service ls
  swarmwire serve --host unix:///tmp/swarm           export DOCKER_HOST=unix:///tmp/swarm/node1.sock

  wireshark -k -i <(curl -sN http://127.0.0.1:2375/swarmwire/captures/node1/host/eth0)
                                                     frames as they pass; .../swarmwire/captures lists the interfaces

Ctrl-C ends it. Exit codes: 0 it was ended, 2 bad input, or a port is taken.`;

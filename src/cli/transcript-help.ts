/** What `swarmwire transcript --help` teaches. */
export const TRANSCRIPT_HELP = `usage: swarmwire transcript GUIDE.md [OPTIONS]

Types the commands of a guide, Markdown or plain text, into a fresh simulated swarm, with the docker command that is installed here, and
shows side by side what the guide prints and what came out. Ids, times, sizes and addresses are taken for what they stand for: an id or an
address that the guide prints and uses later is replaced by ours.

  --nodes N       that many nodes (default: as many as the guide names, at least 3); they have the guide's names
  --client PATH   another docker command (default: docker)
  --brief         what is the same is one line
  --json          all of it as JSON
  --seed N        what is drawn at random is drawn anew (default: 1)

Commands are told from output by prompts: "$ ", "# ", "root@node1:~# ", "[root@node1 ~]# ", "host1$ ", and, inside a container,
"/ # ". Blocks without a prompt hold commands alone, or one command and its output. What is typed where follows from the prompt's
host name, from the text before a block ("on worker1"), or from a comment before it:

  <!-- swarmwire: node=worker1 -->         the next block is typed there
  <!-- swarmwire: container=web -->        in a shell in that container
  <!-- swarmwire: skip="needs a browser" -->
  <!-- swarmwire: fresh -->                a new swarm begins

Exit codes: 0 all is as the guide has it, or differs for a known reason; 1 something differs; 2 bad input, or no docker command.`;

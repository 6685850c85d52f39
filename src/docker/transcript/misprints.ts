/** What guides that many read have misprinted, word by word, and what they mean: that is what our output is compared with. */

/** By the line as it stands there, blanks collapsed. */
const MISPRINTS: Readonly<Record<string, string>> = {
  // "Swarm Mode Networking" of Docker EE's workshop: a digit is lost, and an image's name of an earlier edition has stayed.
  'inet 172.20.0.2/16 scope global eth': 'inet 172.20.0.2/16 scope global eth0',
  'yxt9w3573qb5 ubuntu replicated 6/6 sixeyed/ubuntu-with-utils:latest ubuntu:latest':
    'yxt9w3573qb5 ubuntu replicated 6/6 sixeyed/ubuntu-with-utils:latest',
};

/** What a line means; itself, where it is not known to be misprinted. */
export function meantBy(line: string): string {
  const known = line.trim().replace(/\s+/g, ' ');
  return Object.hasOwn(MISPRINTS, known) ? (MISPRINTS[known] ?? line) : line;
}

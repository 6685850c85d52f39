/**
 * What a user would pick otherwise, at the same job: a client's frame of 64 bytes comes in, is translated and leaves encapsulated.
 * Each runs where it is installed, and is skipped with a word where it is not.
 */

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { kernel } from './peers/kernel.js';

export type Peer =
  | { name: string; what: string; nsPerPacket: number; mpps: number }
  | { name: string; skipped: string };

const HOUR = 3_600_000;
/** Where Debian's golang-github-google-gopacket-dev puts it. */
const GOPATH = '/usr/share/gocode';

function root(folder: string): string {
  return existsSync(join(folder, 'asconfig.json')) ? folder : root(dirname(folder));
}

export async function peers(): Promise<Peer[]> {
  const top = root(dirname(fileURLToPath(import.meta.url)));
  return [swarmwire(), scapy(join(top, 'bench/peers')), gopacket(top), kernel(top)];
}

/** The row that the others stand beside: with all its semantics. */
function swarmwire(): Peer {
  const main = fileURLToPath(new URL('./main.js', import.meta.url));
  const options = ['--json', '--only', 'mesh', '--flows', '1000', '--size', '64', '--turns', '2'];
  const { results } = JSON.parse(execFileSync(process.execPath, [main, ...options]).toString()) as {
    results: { nsPerPacket: number }[];
  };
  return measured(
    'swarmwire',
    'all of a node: conntrack, IPVS, NAT, bridges, vxlan',
    results[0]?.nsPerPacket ?? Number.NaN,
  );
}

/** A system's own Python has the packages of its distribution. */
const PYTHONS = ['python3', '/usr/bin/python3'];

function scapy(folder: string): Peer {
  const name = 'scapy';
  const python = PYTHONS.find((one) => {
    try {
      execFileSync(one, ['-c', 'import scapy'], { stdio: 'pipe' });
      return true;
    } catch {
      return false;
    }
  });
  if (!python) return { name, skipped: 'python3 has no scapy (apt-get install python3-scapy)' };
  const out = execFileSync(python, [join(folder, 'mesh_scapy.py')], { stdio: 'pipe', timeout: HOUR });
  return measured(name, 'dissects, rewrites and builds the frame; no state', Number(out.toString()));
}

function gopacket(top: string): Peer {
  const name = 'gopacket';
  if (!existsSync(join(GOPATH, 'src/github.com/google/gopacket')))
    return { name, skipped: 'it is not there (apt-get install golang-go golang-github-google-gopacket-dev)' };
  const program = join(top, 'build/peers/gopacket');
  mkdirSync(dirname(program), { recursive: true });
  try {
    const env = { ...process.env, GOPATH, GO111MODULE: 'off', GOCACHE: join(top, 'build/peers/go-cache') };
    execFileSync('go', ['build', '-o', program, join(top, 'bench/peers/gopacket.go')], { stdio: 'pipe', env });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return { name, skipped: code === 'ENOENT' ? 'there is no Go compiler' : String((error as Error).message) };
  }
  const out = execFileSync(program, { stdio: 'pipe', timeout: HOUR });
  return measured(name, 'decodes, rewrites and serializes the frame; no state', Number(out.toString()));
}

export function measured(name: string, what: string, nsPerPacket: number): Peer {
  return { name, what, nsPerPacket, mpps: Math.round(1e5 / nsPerPacket) / 100 };
}

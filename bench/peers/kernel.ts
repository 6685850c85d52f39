/**
 * The Linux kernel at the mesh's job, in network namespaces that are made for it and taken away again: a client's namespace, a
 * node's with DNAT, a mark, IPVS by that mark and SNAT, and a vxlan device; frames are sent by a raw socket, what leaves the
 * node's underlay device is counted. One namespace stands for the node and its ingress sandbox: the kernel has less to do than a
 * real node. Needs root, iproute2, iptables, ipvsadm and a C compiler.
 */

import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { measured, type Peer } from '../peers.js';

const NAME = 'linux kernel';
const CLIENT = 'swarmwire-client';
const NODE = 'swarmwire-node';
const OTHER = 'swarmwire-other';

export function kernel(top: string): Peer {
  if (process.platform !== 'linux') return { name: NAME, skipped: 'this is no Linux' };
  if (process.getuid?.() !== 0) return { name: NAME, skipped: 'it takes root' };
  const sender = join(top, 'build/peers/blast');
  try {
    mkdirSync(dirname(sender), { recursive: true });
    run('cc', '-O2', '-o', sender, join(top, 'bench/peers/blast.c'));
    standUp();
    const what = translate();
    const out = run('ip', 'netns', 'exec', CLIENT, sender, 'c0', '02:00:00:00:00:02', '10.77.0.1', '10.77.0.2', '8080');
    const sent = JSON.parse(out) as { packets: number; nanoseconds: number };
    const left = packetsOf(NODE, 'u0');
    if (left < sent.packets / 2)
      return {
        name: NAME,
        skipped: `of ${sent.packets} packets ${left} came out: this machine's kernel lacks something`,
      };
    return measured(NAME, `${what}; sending by a raw socket included`, Math.round(sent.nanoseconds / left));
  } catch (error) {
    const { stderr, message } = error as { stderr?: Buffer; message: string };
    return {
      name: NAME,
      skipped: (stderr?.toString() || message).trim().split('\n').at(-1) ?? 'it does not work here',
    };
  } finally {
    for (const namespace of [CLIENT, NODE, OTHER]) attempt('ip', 'netns', 'del', namespace);
  }
}

function standUp(): void {
  for (const namespace of [CLIENT, NODE, OTHER]) {
    attempt('ip', 'netns', 'del', namespace);
    run('ip', 'netns', 'add', namespace);
    inside(namespace, 'ip link set lo up');
  }
  run(
    'ip',
    'link',
    'add',
    'c0',
    'netns',
    CLIENT,
    'address',
    '02:00:00:00:00:01',
    'type',
    'veth',
    'peer',
    'name',
    'n0',
    'netns',
    NODE,
    'address',
    '02:00:00:00:00:02',
  );
  run(
    'ip',
    'link',
    'add',
    'u0',
    'netns',
    NODE,
    'type',
    'veth',
    'peer',
    'name',
    'u1',
    'netns',
    OTHER,
    'address',
    '02:00:00:00:00:04',
  );
  inside(CLIENT, 'ip addr add 10.77.0.1/24 dev c0');
  inside(CLIENT, 'ip link set c0 up');
  inside(OTHER, 'ip addr add 10.78.0.2/24 dev u1');
  inside(OTHER, 'ip link set u1 up');
  for (const line of [
    'ip addr add 10.77.0.2/24 dev n0',
    'ip link set n0 up',
    'ip addr add 10.78.0.1/24 dev u0',
    'ip link set u0 up',
    'ip neigh add 10.77.0.1 lladdr 02:00:00:00:00:01 dev n0',
    'ip neigh add 10.78.0.2 lladdr 02:00:00:00:00:04 dev u0',
    'ip link add vx0 type vxlan id 4096 local 10.78.0.1 remote 10.78.0.2 dstport 4789 dev u0',
    'ip addr add 10.79.0.2/24 dev vx0',
    'ip link set vx0 up',
    'ip neigh add 10.79.0.5 lladdr 02:00:00:00:00:05 dev vx0',
    'sysctl -qw net.ipv4.ip_forward=1',
  ])
    inside(NODE, line);
}

const BALANCED = [
  'sysctl -qw net.ipv4.vs.conntrack=1 net.ipv4.vs.sloppy_tcp=1',
  'iptables -t mangle -A PREROUTING -p tcp --dport 8080 -j MARK --set-mark 0x100',
  'ipvsadm -A -f 256 -s rr',
  'ipvsadm -a -f 256 -r 10.79.0.5:0 -m',
  'iptables -t nat -A POSTROUTING -m ipvs --ipvs -d 10.79.0.0/24 -j SNAT --to-source 10.79.0.2',
];
const TRANSLATED = [
  'iptables -t nat -F',
  'iptables -t mangle -F',
  'iptables -t nat -A PREROUTING -p tcp --dport 8080 -j DNAT --to-destination 10.79.0.5:80',
  'iptables -t nat -A POSTROUTING -d 10.79.0.0/24 -j SNAT --to-source 10.79.0.2',
];

/** What stands in for the mesh; without IPVS in the kernel a DNAT. */
function translate(): string {
  try {
    for (const line of BALANCED) inside(NODE, line);
    return 'mark, IPVS, SNAT and vxlan';
  } catch {
    for (const line of TRANSLATED) inside(NODE, line);
    return 'no IPVS in this kernel: DNAT, SNAT and vxlan';
  }
}

function inside(namespace: string, line: string): void {
  run('ip', 'netns', 'exec', namespace, ...line.split(' '));
}

function packetsOf(namespace: string, device: string): number {
  const out = run('ip', 'netns', 'exec', namespace, 'ip', '-s', '-j', 'link', 'show', device);
  const [found] = JSON.parse(out) as { stats64: { tx: { packets: number } } }[];
  return found?.stats64.tx.packets ?? 0;
}

function run(program: string, ...args: string[]): string {
  return execFileSync(program, args, { stdio: 'pipe', timeout: 120_000 }).toString();
}

function attempt(program: string, ...args: string[]): void {
  try {
    run(program, ...args);
  } catch {
    // It was not there.
  }
}

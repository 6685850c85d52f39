/** What a node's programs print of a replayed scenario, beside the dumps of the real node. */

import { beforeAll, describe, expect, test } from 'vitest';
import type { Names } from '../../../src/dns/index.js';
import { Sockets } from '../../../src/engine/index.js';
import { Computer, type Host, NOWHERE, Pipe } from '../../../src/programs/index.js';
import { type Replayed, replayed } from '../../views/replayed.js';

const NODE = 'node2';
const NETNS = '/var/run/docker/netns';
const lines = (text: string) => text.split('\n').filter(Boolean);

let run: Replayed;
let computer: Computer;
beforeAll(async () => {
  run = await replayed('S7-ingress-one');
  const namespace = run.namespace(`${NODE}.host`);
  const inside = new Map(
    ['ingress_sbox', 'ov-ingress', 'task-my-web.1'].map((name) => [name, run.namespace(`${NODE}.${name}`)]),
  );
  const host: Host = {
    dockerNetns: () => inside,
    namespaceOf: () => undefined,
    file: () => undefined,
    owner: () => undefined,
    service: () => undefined,
  };
  computer = new Computer({
    namespace,
    sockets: new Sockets(namespace.engine),
    names: { file: () => undefined } as unknown as Names,
    hostname: NODE,
    flavour: 'debian',
    host,
  });
}, 60_000);

function printed(command: string): string[] {
  const out = new Pipe();
  const started = computer.run(['sh', '-c', command], { stdout: out, stderr: NOWHERE });
  expect(started?.task.value).toBe(0);
  return lines(new TextDecoder().decode(out.taken()));
}

/** What no replay can have: dates, what is left of lifetimes, the order of hash tables. */
const MASKS: Record<string, (text: readonly string[]) => string[]> = {
  none: (text) => [...text],
  dates: (text) =>
    text.map((line) => line.replace(/ on \w{3} \w{3} .*$/, '')).filter((line) => !/-m (u32|policy) /.test(line)),
  lifetimes: (text) =>
    text.map((line) => line.replace(/^(\w+ +\d+) \d+/, '$1 N').replace(/\d\d:\d\d /, 'MM:SS ')).sort(),
  // Multicast groups, and the copies of entries in VLAN 1, are not modelled.
  fdb: (text) => text.filter((line) => !/^(33:33|01:00:5e)| vlan 1 /.test(line)).sort(),
};

describe.each([
  ['ingress_sbox', 'ipvsadm -Ln --nosort', 'ipvsadm -Ln --nosort', 'none'],
  ['ingress_sbox', 'ipvsadm -Lnc', 'ipvsadm -Lnc', 'lifetimes'],
  ['ingress_sbox', 'ip route', 'ip route (main', 'none'],
  ['ingress_sbox', 'ip route show table local', 'ip route local', 'none'],
  ['ingress_sbox', 'ip rule', 'ip rule', 'none'],
  ['ingress_sbox', 'iptables-save', 'iptables-save', 'dates'],
  ['task-my-web.1', 'conntrack -L', 'conntrack -L', 'lifetimes'],
  ['task-my-web.1', 'iptables-save', 'iptables-save', 'dates'],
  ['ov-ingress', 'bridge fdb show', 'bridge fdb show', 'fdb'],
] as const)('%s: %s', (name, command, title, mask) => {
  test('is what the real one printed', () => {
    const found = run.dump(`${NODE}.${name}`).section(title);
    if (!found) throw new Error(`the dump of ${name} has no ${title}`);
    const masked = MASKS[mask] ?? ((text: readonly string[]) => [...text]);
    const counters = (text: readonly string[]) => text.map((line) => line.replace(/^\[\d+:\d+\] /, ''));
    expect(masked(printed(`nsenter --net=${NETNS}/${name} ${command}`))).toEqual(masked(counters(found)));
  });
});

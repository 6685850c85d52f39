/** What our layers program and what traffic leaves behind is what the real namespaces' dumps show; and what is broken turns up. */

import { existsSync, readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { MODES, type ReadFile } from '../../src/replay/scenario.js';
import type { Realized } from '../../src/swarm/realize.js';
import { comparedState, filesOf, inWords, replayed } from '../views/replayed.js';

const ORACLE = new URL('../oracle/', import.meta.url);
const SCENARIOS = readdirSync(ORACLE).filter((name) => existsSync(new URL(`${name}/inputs.json`, ORACLE)));

describe.each(SCENARIOS)('%s', (scenario) => {
  it.each(MODES)('has the state of the real one (%s)', async (mode) => {
    const state = comparedState(await replayed(scenario, mode));
    expect(inWords(state)).toEqual([]);
    expect(state.compared).toBeGreaterThan(100);
  });
});

it('what is left out is told by name', async () => {
  const { leftOut } = comparedState(await replayed('S7-ingress-one'));
  expect(leftOut).toContain(
    'iptables: 6 rules that an encrypted overlay of another scenario left behind (-m u32, -m policy)',
  );
  expect(leftOut).toContain('conntrack events: 12 of TCP 2377 and port 7946');
});

it('without a watched engine, events are left out and everything else is compared', async () => {
  const { play } = await import('../../src/replay/replay.js');
  const run = await replayed('S7-ingress-one');
  const watched = comparedState(run);
  const played = await play(run.scenario.inputs, run.scenario.stimulusFrames(), 'stack');
  const unwatched = comparedState({ ...run, played });
  expect(unwatched.different).toEqual([]);
  expect(unwatched.compared).toBeLessThan(watched.compared);
  expect(unwatched.leftOut).toContain('conntrack events: 6 logs, because the engine was not watched');
});

describe('what is broken on purpose turns up:', () => {
  async function broken(scenario: string, breakIt: (realized: Realized) => void): Promise<string[]> {
    return inWords(comparedState(await replayed(scenario, 'stack', breakIt)));
  }
  const chain = ({ namespaces }: Realized, name: string, table: 'nat' | 'mangle' | 'filter', chainName: string) => {
    const iptables = namespaces.get(name)?.iptables;
    if (!iptables) throw new Error(`no namespace ${name}`);
    return { iptables, chain: iptables.chain(table, chainName) };
  };

  it('a rule removed', async () => {
    const words = await broken('S7-ingress-one', (realized) => {
      chain(realized, 'node1/host', 'nat', 'DOCKER-INGRESS').chain.rules[0]?.remove();
    });
    expect(words).toContain(
      'node1.host iptables nat DOCKER-INGRESS: rule 1: missing: real "-p udp -m udp --dport 5353 -j DNAT --to-destination 172.19.0.2:5353"',
    );
  });

  it('two rules swapped', async () => {
    const words = await broken('S7-ingress-one', (realized) => {
      const { iptables, chain: ingress } = chain(realized, 'node1/host', 'nat', 'DOCKER-INGRESS');
      const [first] = ingress.rules;
      if (!first) throw new Error('no rule');
      first.remove();
      iptables.insert('nat', 'DOCKER-INGRESS', first.spec, 1);
    });
    expect(words).toEqual([
      expect.stringMatching(
        /^node1\.host iptables nat DOCKER-INGRESS: rule 1 of ours: not in the real one: ours "-p tcp /,
      ),
      expect.stringMatching(/^node1\.host iptables nat DOCKER-INGRESS: rule 2: missing: real "-p tcp /),
    ]);
  });

  it('a mark changed', async () => {
    const words = await broken('S7-ingress-one', (realized) => {
      const { iptables, chain: marks } = chain(realized, 'node2/ingress_sbox', 'mangle', 'PREROUTING');
      const [first] = marks.rules;
      if (first?.spec.target !== 'MARK') throw new Error('no mark');
      first.remove();
      iptables.insert('mangle', 'PREROUTING', { ...first.spec, value: 0x108 });
    });
    expect(words).toContain(
      'node2.ingress_sbox iptables mangle PREROUTING: rule 1: real "-p tcp -m tcp --dport 8080 -j MARK --set-xmark 0x106/0xffffffff", ours "-p tcp -m tcp --dport 8080 -j MARK --set-xmark 0x108/0xffffffff"',
    );
  });

  it('a policy', async () => {
    const words = await broken('S7-ingress-one', (realized) => {
      chain(realized, 'node1/host', 'filter', 'FORWARD').chain.policy = 'ACCEPT';
    });
    expect(words).toEqual([
      'node1.host iptables chains: missing: real "filter FORWARD DROP"',
      'node1.host iptables chains: not in the real one: ours "filter FORWARD ACCEPT"',
    ]);
  });

  it('a rule that no packet meets otherwise, and so a counter', async () => {
    const words = await broken('S7-ingress-one', (realized) => {
      const { iptables, chain: input } = chain(realized, 'node2/task-my-web.1', 'filter', 'INPUT');
      const [first] = input.rules;
      if (!first) throw new Error('no rule');
      iptables.insert('filter', 'INPUT', { target: 'ACCEPT' });
    });
    expect(words).toContain(
      'node2.task-my-web.1 iptables filter INPUT: rule 1 of ours: not in the real one: ours "-j ACCEPT"',
    );
    expect(words.some((line) => /iptables counters: filter INPUT .*real "24:1440", ours "0:0"/.test(line))).toBe(true);
  });

  it('two destinations swapped', async () => {
    const words = await broken('S5-overlay-vip', ({ namespaces }) => {
      const [service] = namespaces.get('node1/lb-my-swarm-net')?.ipvs.services ?? [];
      const last = service?.destinations.at(-1);
      if (!last) throw new Error('no destination');
      const { address } = last;
      last.remove();
      service?.add(address);
    });
    expect(words).toContain(
      'node1.lb-my-swarm-net ipvsadm FWM 261 rr: destination 1 of ours: not in the real one: ours "10.0.3.4:0 Masq 1"',
    );
  });

  it('a forwarding entry and a neighbour removed', async () => {
    const words = await broken('S6-ingress', ({ namespaces }) => {
      const overlay = namespaces.get('node1/ov-ingress');
      const neighbour = overlay?.neighbours.find(({ address }) => address === '10.0.0.10');
      if (!overlay || !neighbour) throw new Error('no neighbour');
      overlay.removeFdb(overlay.device('vxlan0'), neighbour.mac);
      overlay.removeNeighbour(neighbour);
    });
    expect(words).toContain(
      'node1.ov-ingress ip neigh: missing: real "10.0.0.10 dev vxlan0 lladdr 02:42:0a:00:00:0a PERMANENT"',
    );
    expect(words).toContain(
      'node1.ov-ingress bridge fdb: missing: real "02:42:0a:00:00:0a dev vxlan0 dst 192.168.99.111 self permanent"',
    );
  });

  it('an address, and its routes', async () => {
    const words = await broken('S7-ingress-one', ({ namespaces }) => {
      const task = namespaces.get('node2/task-my-web.1');
      task?.addAddress(task.device('eth1'), '10.9.9.9/24');
    });
    expect(words).toEqual([
      'node2.task-my-web.1 ip addr: not in the real one: ours "eth1 inet 10.9.9.9/24 brd 10.9.9.255 scope global eth1"',
      'node2.task-my-web.1 ip route: not in the real one: ours "10.9.9.0/24 dev eth1 proto kernel scope link src 10.9.9.9"',
      'node2.task-my-web.1 ip route table local: not in the real one: ours "local 10.9.9.9 dev eth1 proto kernel scope host src 10.9.9.9"',
      'node2.task-my-web.1 ip route table local: not in the real one: ours "broadcast 10.9.9.255 dev eth1 proto kernel scope link src 10.9.9.9"',
    ]);
  });

  /** The dumps of a scenario with something changed in one file. */
  function withText(scenario: string, file: string, change: (text: string) => string): ReadFile {
    const read = filesOf(scenario);
    return (name) => {
      const bytes = read(name);
      if (name !== file || !bytes) return bytes;
      const text = new TextDecoder().decode(bytes);
      const changed = change(text);
      expect(changed).not.toBe(text);
      return new TextEncoder().encode(changed);
    };
  }

  it.each([
    [
      'an event removed',
      'node2.task-my-web.1.conntrack-events.txt',
      (text: string) => text.replace(/^.* SYN_RECV .*sport=42101 .*\n/m, ''),
      /tcp 10\.0\.0\.3:42101 > 10\.0\.0\.13:8080, event 2 of ours: not in the real one: ours "\[UPDATE\] tcp 60 SYN_RECV/,
    ],
    [
      'a timeout two seconds longer',
      'node2.task-my-web.1.conntrack-events.txt',
      (text: string) => text.replace(' 60 SYN_RECV', ' 62 SYN_RECV'),
      /event 2: real "\[UPDATE\] tcp 62 SYN_RECV/,
    ],
    [
      'a connection in another state',
      'node2.ingress_sbox.txt',
      (text: string) => text.replace(/TIME_WAIT (src=.*sport=42102 dport=8080)/, 'CLOSE $1'),
      /conntrack -L: missing: real "tcp CLOSE src=192\.168\.99\.1 dst=172\.18\.0\.2 sport=42102/,
    ],
    [
      'a connection with a mark',
      'node2.ingress_sbox.txt',
      (text: string) => text.replace(/(sport=42102 dport=8080 .*)mark=0/, '$1mark=7'),
      /conntrack -L: missing: real ".* mark=7"/,
    ],
    [
      'a connection balanced elsewhere',
      'node2.ingress_sbox.txt',
      (text: string) => text.replace('172.18.0.2:8080    10.0.0.13:8080', '172.18.0.2:8080    10.0.0.14:8080'),
      /ipvsadm -Lnc: missing: real "TCP TIME_WAIT 192\.168\.99\.1:42102 172\.18\.0\.2:8080 10\.0\.0\.14:8080"/,
    ],
    [
      'one packet more in a counter',
      'node2.ingress_sbox.txt',
      (text: string) => text.replace('[12:720]', '[13:780]'),
      /iptables counters: mangle PREROUTING -p tcp .*: real "13:780", ours "12:720"/,
    ],
    [
      'a MAC learned behind another port',
      'node1.ov-ingress.txt',
      (text: string) => text.replace('02:42:0a:00:00:02 dev veth0 master', '02:42:0a:00:00:02 dev vxlan0 master'),
      /bridge fdb: real "02:42:0a:00:00:02 dev vxlan0 master br0", ours "02:42:0a:00:00:02 dev veth0 master br0"/,
    ],
    [
      'an MTU',
      'node2.task-my-web.1.txt',
      (text: string) => text.replace('mtu 1450', 'mtu 1400'),
      /ip addr: missing: real "eth0 <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1400 state UP"/,
    ],
  ])('%s', async (_, file, change, expected) => {
    const run = await replayed('S7-ingress-one');
    const words = inWords(comparedState(run, withText('S7-ingress-one', `state/${file}`, change)));
    expect(words.filter((line) => expected.test(line))).toHaveLength(1);
  });
});

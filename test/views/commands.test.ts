/** Each command's view against what the real command printed: whole texts, but for what no replay can have. */

import { beforeAll, describe, expect, it } from 'vitest';
import {
  bridgeFdb,
  conntrackEvents,
  conntrackList,
  ipAddr,
  ipLink,
  ipNeigh,
  ipRoute,
  iptablesSave,
  ipvsadm,
  ipvsadmConnections,
  ipvsadmStats,
} from '../../src/views/index.js';
import { type Replayed, replayed } from './replayed.js';

const lines = (text: string) => text.split('\n').filter(Boolean);
const section = (run: Replayed, namespace: string, title: string) => {
  const found = run.dump(namespace).section(title);
  if (!found) throw new Error(`the dump of ${namespace} has no ${title}`);
  return found;
};
/** Rules of an encrypted overlay that an earlier scenario left behind, and dates. */
const saved = (text: readonly string[]) =>
  text.filter((line) => !/-m (u32|policy) /.test(line)).map((line) => line.replace(/ on \w{3} \w{3} .*$/, ' on DATE'));

const RUNS = {
  'S3-publish': ['node1.ct-web', 'node1.ct-udpsrv', 'node1.host'],
  'S5-overlay-vip': ['node1.ct-cli', 'node1.lb-my-swarm-net', 'node1.task-web.2', 'node1.host'],
  'S6-ingress': ['node1.host', 'node1.ingress_sbox', 'node1.task-my-nginx.3', 'node1.ov-ingress', 'client'],
  'S10-macvlan-ipvlan': ['lan', 'node1.host', 'node1.ct-mq1', 'node2.ct-iv1'],
  'S7-ingress-one': [
    'node1.host',
    'node2.ingress_sbox',
    'node2.task-my-web.1',
    'node2.task-udpsvc.1',
    'node2.ov-ingress',
  ],
};

describe.each(Object.entries(RUNS))('%s', (scenario, namespaces) => {
  let run: Replayed;
  beforeAll(async () => {
    run = await replayed(scenario);
  });

  describe.each(namespaces)('%s', (name) => {
    it('ip route', () => {
      expect(lines(ipRoute(run.namespace(name)))).toEqual(section(run, name, 'ip route (main'));
    });

    it('ip route table local', () => {
      expect(lines(ipRoute(run.namespace(name), 'local'))).toEqual(section(run, name, 'ip route local'));
    });

    it('ip addr: names, flags, MTUs, MACs, addresses', () => {
      // Interface numbers are the real node's own; its NICs are veths.
      const plain = (text: readonly string[]) =>
        text
          .filter((line) => !/^ {4}(veth|bridge|bridge_slave|vxlan) /.test(line))
          .map((line) =>
            line
              .replace(/^\d+: ([^:@]+)(@[^:]+)?/, '$1')
              .replace(/ link-netns.*| promiscuity.*/, '')
              .replace(/ numtxqueues .*$/, ' '),
          );
      // A node's devices stand in the order in which they came to be, over all its scenarios.
      const device = (text: readonly string[]) =>
        text
          .join('\n')
          .split(/\n(?=\S)/)
          .sort();
      const blocks = (text: readonly string[]) => (name.endsWith('.host') ? device(plain(text)) : plain(text));
      expect(blocks(lines(ipAddr(run.namespace(name), { details: true })))).toEqual(
        blocks(section(run, name, 'ip -d addr')),
      );
    });

    it('ip neigh: permanent ones', () => {
      const permanent = (text: readonly string[]) => text.filter((line) => line.endsWith('PERMANENT ')).sort();
      expect(permanent(lines(ipNeigh(run.namespace(name))))).toEqual(permanent(section(run, name, 'ip neigh')));
    });

    it('bridge fdb show: permanent entries but for multicast groups and VLAN 1', () => {
      const real = section(run, name, 'bridge fdb').filter(
        (line) => line.endsWith('permanent') && !/^.[13579bdf]:| vlan 1 /.test(line),
      );
      const ours = lines(bridgeFdb(run.namespace(name))).filter((line) => line.endsWith('permanent'));
      expect(ours.sort()).toEqual(real.sort());
    });

    it('ipvsadm -Ln --stats', () => {
      const real = section(run, name, 'ipvsadm -Ln --stats').filter((line) => !line.startsWith('Timeout'));
      expect(lines(ipvsadmStats(run.namespace(name)))).toEqual(real);
    });
  });
});

describe('ip -d link', () => {
  it('tells of VLANs, macvlans and ipvlans what they are, and what they stand on', async () => {
    const run = await replayed('S10-macvlan-ipvlan');
    const shown = (name: string) => lines(ipLink(run.namespace(name), { details: true })).slice(2);
    expect(shown('node1.ct-mv1')).toEqual([
      '2: eth0@if2: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP mode DEFAULT group default ',
      '    link/ether 02:42:ac:10:56:02 brd ff:ff:ff:ff:ff:ff link-netnsid 0',
      '    macvlan mode bridge bcqueuelen 1000 usedbcqueuelen 1000 ',
    ]);
    expect(shown('node1.host')).toContain('    vlan protocol 802.1Q id 50 <REORDER_HDR> ');
    expect(shown('node1.host').some((line) => line.includes(' eth0.50@eth0: '))).toBe(true);
    expect(shown('node2.ct-iv1').at(-1)).toBe('    ipvlan  mode l2 bridge ');
  });
});

describe('iptables-save', () => {
  it.each([
    ['S3-publish', 'node1.ct-web'],
    ['S5-overlay-vip', 'node1.lb-my-swarm-net'],
    ['S5-overlay-vip', 'node1.task-web.2'],
    ['S6-ingress', 'node2.ingress_sbox'],
    ['S7-ingress-one', 'node2.ingress_sbox'],
    ['S7-ingress-one', 'node2.task-my-web.1'],
    ['S7-ingress-one', 'node2.task-udpsvc.1'],
  ])('%s %s, as it stands', async (scenario, name) => {
    const run = await replayed(scenario);
    const real = saved(section(run, name, 'iptables-save')).map((line) => line.replace(/^\[\d+:\d+\] /, ''));
    expect(saved(lines(iptablesSave(run.namespace(name))))).toEqual(real);
  });

  it.each([
    ['S5-overlay-vip', 'node1.lb-my-swarm-net'],
    ['S7-ingress-one', 'node2.task-my-web.1'],
    ['S7-ingress-one', 'node2.task-udpsvc.1'],
  ])('-c: %s %s, every packet and byte', async (scenario, name) => {
    const run = await replayed(scenario);
    const counted = saved(lines(iptablesSave(run.namespace(name), { counters: true })));
    expect(counted).toEqual(saved(section(run, name, 'iptables-save')));
  });

  it('says when it was made, in virtual time', async () => {
    const run = await replayed('S7-ingress-one');
    const [first] = lines(iptablesSave(run.namespace('node2.task-my-web.1')));
    const { engine } = run.namespace('node2.task-my-web.1');
    const seconds = Math.floor(Number(engine.epoch) / 1e9 + engine.now / 1e9);
    const [, date = ''] = / on \w{3} (.*)$/.exec(first ?? '') ?? [];
    expect(Date.parse(`${date} UTC`) / 1000).toBe(seconds);
  });
});

describe('S7-ingress-one, after its traffic', () => {
  let run: Replayed;
  beforeAll(async () => {
    run = await replayed('S7-ingress-one');
  });

  it('ipvsadm -Ln --nosort, connections counted', () => {
    expect(lines(ipvsadm(run.namespace('node2.ingress_sbox')))).toEqual(
      section(run, 'node2.ingress_sbox', 'ipvsadm -Ln --nosort'),
    );
  });

  it('ipvsadm -Lnc, but for what remains of a lifetime', () => {
    const later = (text: readonly string[]) => text.map((line) => line.replace(/\d\d:\d\d /, 'MM:SS ')).sort();
    expect(later(lines(ipvsadmConnections(run.namespace('node2.ingress_sbox'))))).toEqual(
      later(section(run, 'node2.ingress_sbox', 'ipvsadm -Lnc')),
    );
  });

  it('conntrack -L, but for what remains of a lifetime', () => {
    const later = (text: readonly string[]) => text.map((line) => line.replace(/^(\w+ +\d+) \d+/, '$1 N')).sort();
    const name = 'node2.task-my-web.1';
    expect(later(lines(conntrackList(run.namespace(name))))).toEqual(later(section(run, name, 'conntrack -L')));
  });

  it.each(['node1.ingress_sbox', 'node2.ingress_sbox', 'node2.task-my-web.1', 'node2.task-udpsvc.1'])(
    'conntrack -E in %s, but for the microsecond, and a second that the kernel rounds off',
    (name) => {
      const bare = (text: readonly string[]) =>
        text.map((line) => line.replace(/^\[\d+\.\d{6}\]/, '[TIME]').replace(' 29 LAST_ACK', ' 30 LAST_ACK'));
      const whole = (text: readonly string[]) =>
        bare(text).map((line) => line.replace(/ (59|119|431999) /, (_, n) => ` ${Number(n) + 1} `));
      expect(whole(lines(conntrackEvents(run.namespace(name))))).toEqual(whole(run.dump(name).events ?? []));
    },
  );
});

/**
 * Every entry that the routing mesh uses is needed, for just what Linux needs it: one after the other each rule, route,
 * neighbour, forwarding entry, virtual service and destination of S7-ingress-one is taken out, as a driver would, before the
 * client asks node1 for the task on node2. From that hop on the frames change as Linux would change them.
 *
 * Whatever changes anything when it goes is in the table below; a rule that counted a packet is there in any case.
 */

import { describe, expect, it } from 'vitest';
import type { Namespace, RouteEntry, Table } from '../../src/engine/index.js';
import { RecordedSwarm } from '../engine/recorded-swarm.js';
import { expectConserved } from '../engine/watch.js';
import { ourFdb, ruleText } from './dump.js';
import { type Exchange, MeshSwarm, parting } from './mesh-exchange.js';

interface Expectation {
  /** What Linux does without it. */
  why: string;
  /** Seen last as before; left out where nothing changes. */
  last?: string;
  /** Seen next instead. */
  next?: string;
  /** What the client's application hears; `answer` if it gets it after all. */
  outcome: string;
  /** Where frames end that went on before, and why: all of these, and no others. */
  drops?: string[];
  /** The first thing besides ARP that the client gets instead of the SYN-ACK. */
  client?: string;
}

const NOTHING = { outcome: 'answer' };
const SYN = '192.168.99.1:P > 192.168.99.110:8080 ttl 64 tcp S';
const SYN_INSIDE = '192.168.99.1:P > 172.19.0.2:8080 ttl 63 tcp S';
const SYN_BALANCED = '10.0.0.2:P > 10.0.0.13:8080 ttl 62 tcp S';
const SYN_ACK = '10.0.0.13:8080 > 10.0.0.2:P ttl 64 tcp SA';
const AT_NODE1 = `node1/host/eth0 received ${SYN}`;
const AT_BALANCER = `node1/ingress_sbox/eth1 received ${SYN_INSIDE}`;
/** The receiving bridge floods the first frame to all its ports; udpsvc's is the last. */
const AT_TASK = `node2/task-udpsvc.1/eth0 received ${SYN_BALANCED}`;
const SYN_AGAIN = `client/host/eth0 transmitted ${SYN}`;
const SILENCE = 'no answer within 14 s';

const EXPECTED: Record<string, Expectation> = {
  // ------------------------------------------------------------------------------------------------ rules of node1
  'node1/host nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER-INGRESS': {
    why: 'the SYN is for node1 itself, where nobody listens on 8080: a RST, from node1',
    last: AT_NODE1,
    next: 'node1/host/eth0 transmitted 192.168.99.110:8080 > 192.168.99.1:P ttl 64 tcp RA',
    outcome: 'refused',
    drops: ['node1/host/eth0 NO_SOCKET'],
    client: '192.168.99.110:8080 > 192.168.99.1:P ttl 64 tcp RA',
  },
  'node1/host nat -A DOCKER-INGRESS -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.19.0.2:8080': {
    why: 'the same: no DNAT, so node1 itself is asked',
    last: AT_NODE1,
    next: 'node1/host/eth0 transmitted 192.168.99.110:8080 > 192.168.99.1:P ttl 64 tcp RA',
    outcome: 'refused',
    drops: ['node1/host/eth0 NO_SOCKET'],
    client: '192.168.99.110:8080 > 192.168.99.1:P ttl 64 tcp RA',
  },
  'node1/host nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER': {
    why: 'met by VXLAN from node2 alone, and chain DOCKER holds nothing for it',
    ...NOTHING,
  },
  'node1/host nat -A DOCKER-INGRESS -j RETURN': { why: 'a chain’s end returns as well', ...NOTHING },
  'node1/host filter -A FORWARD -j DOCKER-USER': { why: 'DOCKER-USER only returns', ...NOTHING },
  'node1/host filter -A DOCKER-USER -j RETURN': { why: 'a chain’s end returns as well', ...NOTHING },
  'node1/host filter -A FORWARD -j DOCKER-INGRESS': {
    why: 'nothing else lets a new connection into docker_gwbridge: the policy of FORWARD is DROP, and drops are silent',
    last: AT_NODE1,
    next: SYN_AGAIN,
    outcome: SILENCE,
    drops: ['node1/host/eth0 NETFILTER_DROP'],
  },
  'node1/host filter -A DOCKER-INGRESS -p tcp -m tcp --dport 8080 -j ACCEPT': {
    why: 'the same: FORWARD’s policy',
    last: AT_NODE1,
    next: SYN_AGAIN,
    outcome: SILENCE,
    drops: ['node1/host/eth0 NETFILTER_DROP'],
  },
  'node1/host filter -A DOCKER-INGRESS -p tcp -m state --state RELATED,ESTABLISHED -m tcp --sport 8080 -j ACCEPT': {
    why: 'answers pass by `-i docker_gwbridge ! -o docker_gwbridge -j ACCEPT` as well',
    ...NOTHING,
  },
  // ------------------------------------------------------------------------------------- node1's balancer: rules, IPVS
  'node1/ingress_sbox mangle -A PREROUTING -p tcp -m tcp --dport 8080 -j MARK --set-xmark 0x106/0xffffffff': {
    why: 'without its mark the SYN is not IPVS’s business: ingress_sbox itself resets it, one hop away (FACTS 31)',
    last: AT_BALANCER,
    next: 'node1/ingress_sbox/eth1 transmitted 172.19.0.2:8080 > 192.168.99.1:P ttl 64 tcp RA',
    outcome: 'refused',
    drops: ['node1/ingress_sbox/eth1 NO_SOCKET'],
    client: '192.168.99.110:8080 > 192.168.99.1:P ttl 63 tcp RA',
  },
  'node1/ingress_sbox service of mark 262': {
    why: 'a mark that no service has: the same reset',
    last: AT_BALANCER,
    next: 'node1/ingress_sbox/eth1 transmitted 172.19.0.2:8080 > 192.168.99.1:P ttl 64 tcp RA',
    outcome: 'refused',
    drops: ['node1/ingress_sbox/eth1 NO_SOCKET'],
    client: '192.168.99.110:8080 > 192.168.99.1:P ttl 63 tcp RA',
  },
  'node1/ingress_sbox destination 10.0.0.13 of mark 262': {
    why: 'a service without a destination answers that the port is unreachable (ip_vs_leave)',
    last: AT_BALANCER,
    next: 'node1/ingress_sbox/eth1 transmitted 172.19.0.2 > 192.168.99.1 ttl 64 icmp 3/3',
    outcome: 'refused',
    drops: ['node1/ingress_sbox/eth1 IPVS_NO_DESTINATION'],
    client: '192.168.99.110 > 192.168.99.1 ttl 63 icmp 3/3',
  },
  'node1/ingress_sbox nat -A POSTROUTING -d 10.0.0.0/24 -m ipvs --ipvs -j SNAT --to-source 10.0.0.2': {
    why: 'the task sees the client’s address and answers by its default route, past the mesh: nobody awaits that SYN-ACK',
    last: 'node1/ingress_sbox/eth0 received 10.0.0.13 is at 02:42:0a:00:00:0d',
    next: 'node1/ingress_sbox/eth0 transmitted 192.168.99.1:P > 10.0.0.13:8080 ttl 62 tcp S',
    outcome: SILENCE,
    // The client's RST has no way to 10.0.0.13.
    drops: ['client/host/eth0 NO_SOCKET', 'client/host/lo IP_OUT_NO_ROUTE'],
    client: '10.0.0.13:8080 > 192.168.99.1:P ttl 63 tcp SA',
  },
  // ------------------------------------------------------------------------------------------------ rules of node2
  'node2/host nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER-INGRESS': {
    why: 'met by VXLAN from node1 alone, and no port of it is published',
    ...NOTHING,
  },
  'node2/host nat -A DOCKER-INGRESS -j RETURN': { why: 'a chain’s end returns as well', ...NOTHING },
  'node2/host nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER': { why: 'the same', ...NOTHING },
  // -------------------------------------------------------------------------------------------------- rules of the task
  'node2/task-my-web.1 nat -A PREROUTING -d 10.0.0.13/32 -p tcp -m tcp --dport 8080 -j REDIRECT --to-ports 80': {
    why: 'port 8080 is not let in: INPUT drops all TCP to the ingress address but port 80',
    last: AT_TASK,
    next: SYN_AGAIN,
    outcome: SILENCE,
    drops: ['node2/task-my-web.1/eth0 NETFILTER_DROP'],
  },
  'node2/task-my-web.1 filter -A INPUT -d 10.0.0.13/32 -p tcp -m tcp --dport 80 -m conntrack --ctstate NEW,ESTABLISHED -j ACCEPT':
    {
      why: 'INPUT drops all TCP to the ingress address',
      last: AT_TASK,
      next: SYN_AGAIN,
      outcome: SILENCE,
      drops: ['node2/task-my-web.1/eth0 NETFILTER_DROP'],
    },
  'node2/task-my-web.1 filter -A OUTPUT -s 10.0.0.13/32 -p tcp -m tcp --sport 80 -m conntrack --ctstate ESTABLISHED -j ACCEPT':
    {
      why: 'OUTPUT drops all TCP from the ingress address: the SYN-ACK does not leave, nor does the question for its way',
      last: AT_TASK,
      next: SYN_AGAIN,
      outcome: SILENCE,
      drops: ['node2/task-my-web.1/eth0 NETFILTER_DROP'],
    },
  // -------------------------------------------------------------------------------------------------------------- routes
  'client/host route 192.168.99.0/24 dev eth0': {
    why: 'ENETUNREACH, before anything is sent',
    last: '',
    next: '',
    outcome: 'no route',
  },
  'client/host route local 192.168.99.1 dev eth0': {
    why: 'the SYN-ACK is not for the client any more, who is a router: it redirects node1, and looks for 192.168.99.1 on the wire',
    last: 'client/host/eth0 received 192.168.99.110:8080 > 192.168.99.1:P ttl 62 tcp SA',
    next: 'client/host/eth0 transmitted 192.168.99.1 > 192.168.99.110 ttl 64 icmp 5/1',
    outcome: SILENCE,
    // A redirect about a translated connection goes no further.
    drops: ['client/host/eth0 NEIGH_FAILED', 'node1/host/eth0 NETFILTER_DROP'],
    client: '192.168.99.110:8080 > 192.168.99.1:P ttl 62 tcp SA',
  },
  'node1/host route local 192.168.99.110 dev eth0': {
    why: 'node1 does not answer for that address: three questions, and the client’s own stack gives up',
    last: 'node2/host/eth0 received who has 192.168.99.110 tell 192.168.99.1',
    next: 'client/host/eth0 transmitted who has 192.168.99.110 tell 192.168.99.1',
    outcome: 'unreachable',
    drops: ['client/host/eth0 NEIGH_FAILED'],
  },
  'node1/host route 192.168.99.0/24 dev eth0': {
    why: 'VXLAN goes by the default gateway, the client, who forwards it',
    last: `node1/ov-ingress/vxlan0 transmitted ${SYN_BALANCED}`,
    next: `node1/host/eth0 transmitted 192.168.99.110 > 192.168.99.111:4789 ttl 64 udp vxlan of ${SYN_BALANCED}`,
    outcome: 'answer',
    client: `192.168.99.110 > 192.168.99.111:4789 ttl 64 udp vxlan of ${SYN_BALANCED}`,
  },
  'node1/host route local 172.19.0.1 dev docker_gwbridge': {
    why: 'ingress_sbox knows the gateway from its question; only the probe five seconds later finds nobody',
    last: 'node1/host/docker_gwbridge received who has 172.19.0.1 tell 172.19.0.2',
    next: 'node1/host/eth0 transmitted who has 192.168.99.1 tell 192.168.99.110',
    outcome: 'answer',
  },
  'node1/host route 172.19.0.0/16 dev docker_gwbridge': {
    why: 'the SYN, DNATed, goes by the default route, back to the client, who is its source: a martian',
    last: AT_NODE1,
    next: `node1/host/eth0 transmitted ${SYN_INSIDE}`,
    outcome: SILENCE,
    drops: ['client/host/eth0 IP_LOCAL_SOURCE'],
    client: SYN_INSIDE,
  },
  'node1/ingress_sbox route local 172.19.0.2 dev eth1': {
    why: 'ingress_sbox does not answer for that address; node1 tells the client that the host is unreachable',
    last: 'node1/ingress_sbox/eth1 received who has 172.19.0.2 tell 172.19.0.1',
    next: SYN_AGAIN,
    outcome: 'unreachable',
    drops: ['node1/host/docker_gwbridge NEIGH_FAILED'],
    client: '192.168.99.110 > 192.168.99.1 ttl 64 icmp 3/1',
  },
  'node1/ingress_sbox route default via 172.19.0.1 dev eth1': {
    why: 'the SYN-ACK has no way to the client: net unreachable, told to the task',
    last: `node1/ingress_sbox/eth0 received ${SYN_ACK}`,
    next: 'node1/ingress_sbox/eth0 transmitted 10.0.0.2 > 10.0.0.13 ttl 64 icmp 3/0',
    outcome: SILENCE,
    drops: ['node1/ingress_sbox/eth0 IP_IN_NO_ROUTE'],
  },
  'node1/ingress_sbox route 10.0.0.0/24 dev eth0': {
    why: 'the balanced SYN goes by the default route, out of the mesh, to the client, who has no route for it',
    last: AT_BALANCER,
    next: 'node1/ingress_sbox/eth1 transmitted 10.0.0.2:P > 10.0.0.13:8080 ttl 62 tcp S',
    outcome: SILENCE,
    drops: ['client/host/eth0 IP_IN_NO_ROUTE'],
    client: '10.0.0.2:P > 10.0.0.13:8080 ttl 61 tcp S',
  },
  'node2/host route local 192.168.99.111 dev eth0': {
    why: 'node2 does not answer for its VTEP: node1’s VXLAN packets wait in vain',
    last: 'node2/host/eth0 received who has 192.168.99.111 tell 192.168.99.110',
    next: SYN_AGAIN,
    outcome: SILENCE,
    drops: ['node1/host/eth0 NEIGH_FAILED'],
  },
  'node2/host route 192.168.99.0/24 dev eth0': {
    why: 'VXLAN goes by the default gateway, the client, who forwards it',
    last: `node2/ov-ingress/vxlan0 transmitted ${SYN_ACK}`,
    next: 'node2/host/eth0 transmitted who has 192.168.99.1 tell 192.168.99.111',
    outcome: 'answer',
    client: `192.168.99.111 > 192.168.99.110:4789 ttl 64 udp vxlan of ${SYN_ACK}`,
  },
  'node2/task-my-web.1 route local 10.0.0.13 dev eth0': {
    why: 'the SYN is not for the task any more: it looks for 10.0.0.13 on the overlay, and the error takes the whole way back',
    last: AT_TASK,
    next: 'node2/task-my-web.1/eth0 transmitted who has 10.0.0.13 tell 10.0.0.13',
    outcome: 'unreachable',
    drops: ['node2/ov-ingress/vxlan0 VXLAN_ARP_SWALLOWED', 'node2/task-my-web.1/eth0 NEIGH_FAILED'],
    client: '192.168.99.110 > 192.168.99.1 ttl 62 icmp 3/1',
  },
  'node2/task-my-web.1 route 10.0.0.0/24 dev eth0': {
    why: 'the SYN-ACK goes by eth1 and docker_gwbridge, out of node2, to the default gateway, who has no route for it',
    last: AT_TASK,
    next: 'node2/task-my-web.1/eth1 transmitted who has 172.18.0.1 tell 10.0.0.13',
    outcome: SILENCE,
    drops: ['client/host/eth0 IP_IN_NO_ROUTE'],
    client: '10.0.0.13:8080 > 10.0.0.2:P ttl 63 tcp SA',
  },
  // -------------------------------------------------------------------------- neighbours and forwarding entries of vxlan0
  'node1/ov-ingress neighbour 10.0.0.13 dev vxlan0': {
    why:
      'nobody answers ingress_sbox’s question. Its own stack’s error is about a balanced connection: NAT gives it the client’s ' +
      'address at OUTPUT, and IPVS, right behind, the virtual one (ip_vs_out_hook at LOCAL_OUT), so the client believes it',
    last: 'node1/ov-ingress/br0 received who has 10.0.0.13 tell 10.0.0.2',
    next: SYN_AGAIN,
    outcome: 'unreachable',
    drops: ['node1/ingress_sbox/eth0 NEIGH_FAILED', 'node1/ov-ingress/vxlan0 VXLAN_ARP_SWALLOWED'],
    client: '192.168.99.110 > 192.168.99.1 ttl 63 icmp 3/1',
  },
  'node2/ov-ingress neighbour 10.0.0.2 dev vxlan0': {
    why: 'nobody answers the task’s question: its SYN-ACK waits in vain',
    last: 'node2/ov-ingress/br0 received who has 10.0.0.2 tell 10.0.0.13',
    next: 'node2/ingress_sbox/eth0 received who has 10.0.0.2 tell 10.0.0.13',
    outcome: SILENCE,
    drops: ['node2/ov-ingress/vxlan0 VXLAN_ARP_SWALLOWED', 'node2/task-my-web.1/eth0 NEIGH_FAILED'],
  },
  'node1/ov-ingress fdb 02:42:0a:00:00:0d dev vxlan0': {
    why: 'vxlan0 floods to nobody: a MAC without an entry goes nowhere',
    last: `node1/ov-ingress/vxlan0 transmitted ${SYN_BALANCED}`,
    next: SYN_AGAIN,
    outcome: SILENCE,
    drops: ['node1/ov-ingress/vxlan0 VXLAN_NO_REMOTE'],
  },
  'node2/ov-ingress fdb 02:42:0a:00:00:02 dev vxlan0': {
    why: 'vxlan0 has learned it from the SYN (vxlan_snoop) by the time that the SYN-ACK needs it',
    ...NOTHING,
  },
};

interface EntryOf {
  key: string;
  /** A rule that counted a packet: it has an expectation even if nothing changes without it. */
  counted: boolean;
  remove: (swarm: MeshSwarm) => void;
}

function routeText({ type, destination, gateway, device }: RouteEntry): string {
  const [address = '', length = ''] = destination.split('/');
  const numbers = address.split('.').map(Number);
  const masked = numbers.map((byte, i) => byte & (0xff00 >> Math.min(8, Math.max(0, Number(length) - 8 * i))) & 255);
  const where = length === '0' ? 'default' : length === '32' ? address : `${masked.join('.')}/${length}`;
  const words = [
    ...(type === 'unicast' ? [] : [type]),
    where,
    ...(gateway ? ['via', gateway] : []),
    'dev',
    device.name,
  ];
  return `route ${words.join(' ')}`;
}

/** Everything in a namespace that a driver has put there and may take out. */
function entriesOf({ name, iptables, routes, neighbours, ipvs, devices }: Namespace): EntryOf[] {
  const entries: EntryOf[] = [];
  const add = (text: string, counted: boolean, remove: (namespace: Namespace) => void) =>
    entries.push({ key: `${name} ${text}`, counted, remove: (swarm) => remove(swarm.namespace(name)) });
  for (const table of ['mangle', 'nat', 'filter'] satisfies Table[]) {
    for (const chain of iptables.chains[table].values()) {
      chain.rules.forEach(({ spec, packets }, i) => {
        add(`${table} ${ruleText(chain.name, spec)}`, packets > 0, (namespace) =>
          namespace.iptables.chain(table, chain.name).rules[i]?.remove(),
        );
      });
    }
  }
  routes.forEach((route, i) => {
    add(routeText(route), false, (namespace) => {
      const same = namespace.routes[i];
      if (same) namespace.removeRoute(same);
    });
  });
  neighbours.forEach(({ address, device }, i) => {
    add(`neighbour ${address} dev ${device.name}`, false, (namespace) => {
      const same = namespace.neighbours[i];
      if (same) namespace.removeNeighbour(same);
    });
  });
  ipvs.services.forEach(({ key, destinations }, i) => {
    const service = 'mark' in key ? `mark ${key.mark}` : key.address;
    add(`service of ${service}`, false, (namespace) => {
      const same = namespace.ipvs.services[i];
      if (same) namespace.ipvs.remove(same);
    });
    destinations.forEach(({ address }, j) => {
      add(`destination ${address} of ${service}`, false, (namespace) =>
        namespace.ipvs.services[i]?.destinations[j]?.remove(),
      );
    });
  });
  const vxlan = [...devices.values()].find(({ kind }) => kind === 'vxlan');
  const namespace = vxlan?.namespace;
  if (vxlan && namespace) {
    for (const line of ourFdb(namespace).vxlan) {
      const [mac = ''] = line.split(' ');
      add(`fdb ${mac} dev ${vxlan.name}`, false, (other) => other.removeFdb(other.device(vxlan.name), mac));
    }
  }
  return entries;
}

const untouched = await MeshSwarm.stand();
const programmed = [...untouched.realized.namespaces.values()].flatMap((namespace) =>
  entriesOf(namespace).map(({ key }) => key),
);
const before = untouched.exchange();
/** FDB entries are those of before the exchange: what was learned since is no driver's. */
const entries = [...untouched.realized.namespaces.values()]
  .flatMap(entriesOf)
  .filter(({ key }) => programmed.includes(key));

async function without(entry: EntryOf): Promise<Exchange> {
  const swarm = await MeshSwarm.stand();
  entry.remove(swarm);
  return swarm.exchange();
}

describe('with everything in its place', () => {
  it('the client gets its answer, and nothing is dropped but what a bridge floods to those whom it does not concern', () => {
    expect(before.outcome).toBe('answer');
    expect(before.drops).toEqual(['node2/ingress_sbox/eth0 OTHERHOST', 'node2/task-udpsvc.1/eth0 OTHERHOST']);
    expectConserved(before.engine);
  });

  it('every entry of the table of expectations is there', () => {
    expect(Object.keys(EXPECTED).filter((key) => !programmed.includes(key))).toEqual([]);
  });

  it('every rule that counted a packet has an expectation', () => {
    expect(entries.filter(({ key, counted }) => counted && !EXPECTED[key]).map(({ key }) => key)).toEqual([]);
  });

  it('so has every rule that the recorded connection used, frame by frame', async () => {
    const swarm = await RecordedSwarm.open('S7-ingress-one');
    // The client's first connection, from port 42001, up to the SYN of its second.
    const second = swarm.stimuli.findIndex(
      ({ kind, tap }, i) => i > 3 && kind === 'tcp-syn' && tap.startsWith('client/'),
    );
    for (const stimulus of swarm.stimuli.slice(0, second)) swarm.send(stimulus);
    const counted = [...swarm.realized.namespaces.values()].flatMap(entriesOf).filter(({ counted }) => counted);
    expect(counted.length).toBeGreaterThan(10);
    expect(counted.filter(({ key }) => !EXPECTED[key]).map(({ key }) => key)).toEqual([]);
  });
});

describe('without', () => {
  it.each(entries.filter(({ key }) => EXPECTED[key]))('$key', async (entry) => {
    const expected = EXPECTED[entry.key];
    if (!expected) throw new Error(`${entry.key} has no expectation`);
    const after = await without(entry);
    const parted = parting(before, after);
    const others = after.drops.filter((drop) => !before.drops.includes(drop));
    const told = after.seen
      .filter((line) => line.startsWith('client/host/eth0 received ') && / ttl /.test(line))
      .map((line) => line.slice('client/host/eth0 received '.length));
    expect(
      {
        last: parted?.last,
        next: parted?.is,
        outcome: after.outcome,
        drops: others,
        client: expected.client === undefined ? undefined : told[0],
      },
      expected.why,
    ).toEqual({
      last: expected.last,
      next: expected.next,
      outcome: expected.outcome,
      drops: expected.drops ?? [],
      client: expected.client,
    });
    // A retransmitted SYN may be waiting for a neighbour yet.
    expectConserved(after.engine, { inFlight: after.engine.account.inFlight });
  });

  it('any other entry nothing changes', async () => {
    const changed: string[] = [];
    for (const entry of entries.filter(({ key }) => !EXPECTED[key])) {
      const after = await without(entry);
      if (parting(before, after)) changed.push(entry.key);
      expectConserved(after.engine);
    }
    expect(changed).toEqual([]);
  });
});

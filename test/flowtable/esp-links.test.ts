/**
 * ESP where a way goes on from namespace to namespace without a segment between: what is sealed in one may be opened in the next, or
 * be forwarded first. All fares as it does without the flow table.
 */

import { expect, it } from 'vitest';
import { checkedModule } from '../../bench/fuzz/files.js';
import { type Device, Engine, type Namespace, type RuleSpec, type Segment, Sockets } from '../../src/engine/index.js';
import { PORT, protect } from '../engine/protect.js';
import { books, digest, state } from './seen.js';

const module = await checkedModule();
const COUNT = 40;
const OUT = 0x11111111;
const IN = 0x22222222;

interface Chain {
  /** What each namespace is tied to the next by: with two, the middle one is a router. */
  links: readonly ('veth' | 'segment')[];
  /** The router has associations too, so that it looks for ESP in what comes in. */
  opens?: boolean;
  /** Rules for what comes in. */
  rules?: { at: 'router' | 'server'; table: 'raw' | 'mangle' | 'nat' | 'filter'; chain: string; spec: RuleSpec }[];
  /** What the client sends to instead of the server's address. */
  to?: string;
  /** Nobody answers, and nobody on a segment has ever been heard of. */
  oneWay?: boolean;
  /** A third one hears on the first segment all that is flooded: from the beginning, or from the middle on; or the server says something then, or has another MAC. */
  meanwhile?: 'a third is there' | 'a third comes' | 'the server is heard' | 'a neighbour moves';
  /** Every other packet is of another of the client's addresses, whose policy names the same association. */
  another?: boolean;
}

const hardware = (n: number) => `02:00:00:00:00:0${n}`;

function tie(
  engine: Engine,
  [from, to]: [Namespace, Namespace],
  kind: 'veth' | 'segment',
  i: number,
): Segment | undefined {
  const [near, far] = [`10.0.${i}.1`, `10.0.${i}.2`];
  const [mac, peerMac] = [hardware(2 * i + 1), hardware(2 * i + 2)];
  let ends: [Device, Device];
  let segment: Segment | undefined;
  if (kind === 'veth')
    ends = from.addVeth(`eth${i}`, { mac, mtu: 1500 }, { namespace: to, name: `eth${i}`, mac: peerMac, mtu: 1500 });
  else {
    segment = engine.segment(100_000);
    ends = [
      from.addPhysical(`eth${i}`, segment, { mac, mtu: 1500 }),
      to.addPhysical(`eth${i}`, segment, { mac: peerMac, mtu: 1500 }),
    ];
  }
  from.addAddress(ends[0], `${near}/24`);
  to.addAddress(ends[1], `${far}/24`);
  from.addNeighbour(ends[0], far, peerMac);
  to.addNeighbour(ends[1], near, mac);
  if (kind === 'segment') ends[1].tap();
  return segment;
}

async function life(fast: boolean, { links, opens, rules = [], to, oneWay, meanwhile, another }: Chain) {
  const engine = await Engine.create({ module, seed: 1, captureBuffer: 8 << 20 });
  engine.exports.setFlowTable(fast ? 1 : 0);
  const seen: string[] = [];
  engine.onCapture = (records) => void seen.push(`${records.length} ${digest(records)}`);
  const client = engine.namespace('node/client');
  const server = engine.namespace('node/server');
  const router = links.length > 1 ? engine.namespace('node/router') : undefined;
  const all = router ? [client, router, server] : [client, server];
  const last = links.length - 1;
  const segments = links.map((kind, i) => tie(engine, [all[i] as Namespace, all[i + 1] as Namespace], kind, i));
  client.addRoute('0.0.0.0/0', client.device('eth0'), '10.0.0.2');
  server.addRoute('0.0.0.0/0', server.device(`eth${last}`), `10.0.${last}.1`);
  router?.set('forward', 1);
  const [here, there] = ['10.0.0.1', `10.0.${last}.2`];
  protect(client, here, to ?? there, OUT, IN);
  protect(server, there, here, IN, OUT);
  if (router && opens) protect(router, '10.0.0.2', here, 3, 4);
  for (const { at, table, chain, spec } of rules)
    (at === 'router' ? router : server)?.iptables.append(table, chain, spec);
  if (another) {
    client.addAddress(client.device('eth0'), '10.0.0.3/24');
    client.iptables.append('filter', 'OUTPUT', { source: '10.0.0.3', target: 'NONE' });
    const [policy] = client.xfrm.policies;
    if (policy) client.xfrm.setPolicy({ ...policy, source: '10.0.0.3' });
  }
  const sockets = new Sockets(engine);
  let [came, answers] = [0, 0];
  sockets.openUdp(server, PORT, ({ data, from, time }, socket) => {
    came++;
    if (!oneWay) socket.send(from, data, sockets.after(time));
  });
  const senders = (another ? [here, '10.0.0.3'] : ['0.0.0.0']).map((address) =>
    sockets.openUdp(client, PORT, () => void answers++, undefined, address),
  );
  const third = () => {
    if (segments[0])
      engine
        .namespace('third/host')
        .addPhysical('eth0', segments[0], { mac: hardware(9), mtu: 1500 })
        .tap();
  };
  if (meanwhile === 'a third is there') third();
  else if (meanwhile)
    engine.at(engine.now + (COUNT / 2) * 1e6 - 5e5, (time) => {
      if (meanwhile === 'a third comes') third();
      else if (meanwhile === 'a neighbour moves') client.addNeighbour(client.device('eth0'), '10.0.0.2', hardware(8));
      else sockets.openUdp(server, 9, () => {}).send({ address: here, port: 9 }, new Uint8Array(1), time);
    });
  for (let i = 0; i < COUNT; i++)
    senders[i % senders.length]?.send(
      { address: to ?? there, port: PORT },
      new Uint8Array(20 + i),
      engine.now + i * 1e6,
    );
  engine.run(engine.now + 1e9, sockets.handle);
  return { seen: [...seen, ...books(engine), ...state(engine)], came, answers, fast: engine.exports.fastPackets() };
}

const TRANSLATED = (destination: string, address: string): RuleSpec => ({
  destination,
  target: 'DNAT',
  address,
});

it.each<[string, Chain, number, 'comes' | 'half of it comes' | 'does not come']>([
  ['over a segment', { links: ['segment'] }, 4, 'comes'],
  ['over a segment, without answers', { links: ['segment'], oneWay: true }, 2, 'comes'],
  [
    'over a segment on which a third hears it',
    { links: ['segment'], oneWay: true, meanwhile: 'a third is there' },
    1,
    'comes',
  ],
  [
    'over a segment to which a third comes',
    { links: ['segment'], oneWay: true, meanwhile: 'a third comes' },
    1.5,
    'comes',
  ],
  [
    'over a segment that learns meanwhile',
    { links: ['segment'], oneWay: true, meanwhile: 'the server is heard' },
    2,
    'comes',
  ],
  [
    'over a segment to a neighbour that moves',
    { links: ['segment'], meanwhile: 'a neighbour moves' },
    2,
    'half of it comes',
  ],
  // What is opened has the mark that was given to it sealed.
  [
    'over a segment to a server that marks it',
    {
      links: ['segment'],
      rules: [
        { at: 'server', table: 'raw', chain: 'PREROUTING', spec: { mark: { value: 5, mask: 255 }, target: 'NONE' } },
        { at: 'server', table: 'mangle', chain: 'PREROUTING', spec: { source: '10.0.0.1', target: 'MARK', value: 5 } },
      ],
    },
    4,
    'comes',
  ],
  ['over a segment from two addresses by one association', { links: ['segment'], another: true }, 2, 'comes'],
  // To the cipher alone: what is sealed goes on to another namespace, and is not recorded there.
  ['over a veth', { links: ['veth'] }, 2, 'comes'],
  ['over a veth, without answers', { links: ['veth'], oneWay: true }, 1, 'comes'],
  ['through a router between two veths', { links: ['veth', 'veth'] }, 0, 'comes'],
  ['through a router to a segment', { links: ['veth', 'segment'] }, 1, 'comes'],
  // What comes out at the server has one hop less to live.
  [
    'from a segment through a router that opens others',
    {
      links: ['segment', 'veth'],
      opens: true,
      rules: [
        {
          at: 'server',
          table: 'filter',
          chain: 'INPUT',
          spec: { protocol: 'udp', u32: '5&0xFF=63', target: 'NONE' },
        },
      ],
    },
    1,
    'comes',
  ],
  // The datagram's checksum is of the address that it was sent to.
  [
    'through a router that translates it',
    {
      links: ['segment', 'veth'],
      opens: true,
      to: '10.9.9.9',
      rules: [{ at: 'router', table: 'nat', chain: 'PREROUTING', spec: TRANSLATED('10.9.9.9', '10.0.1.2') }],
    },
    0,
    'does not come',
  ],
  [
    'to a server that translates it',
    {
      links: ['segment'],
      to: '10.9.9.9',
      rules: [{ at: 'server', table: 'nat', chain: 'PREROUTING', spec: TRANSLATED('10.9.9.9', '10.0.0.2') }],
    },
    0,
    'does not come',
  ],
])('goes %s', async (_, chain, ways, comes) => {
  const slow = await life(false, chain);
  const quick = await life(true, chain);
  expect(quick).toEqual({ ...slow, fast: quick.fast });
  expect(slow.came).toBe({ comes: COUNT, 'half of it comes': COUNT / 2, 'does not come': 0 }[comes]);
  // So many parts of a packet's way, and its answer's, are a flow's.
  expect(quick.fast).toBeGreaterThanOrEqual(0.9 * ways * COUNT);
});

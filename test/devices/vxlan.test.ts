/**
 * vxlan devices (drivers/net/vxlan/vxlan_core.c, net/ipv4/ip_tunnel_core.c; RFC 7348, RFC 6040): what really went into node1's
 * vxlan0 in S6-ingress and what really came out of node1, and all that a tunnel must refuse.
 */

import { describe, expect, it } from 'vitest';
import { checkedEngine } from '../engine/checked.js';
import {
  ARP,
  arpPacket,
  BROADCAST,
  checksum,
  checksumsHold,
  concat,
  ethernet,
  IPV4,
  icmpPacket,
  ipPacket,
  macText,
  put16,
  tcpPacket,
  toHex,
  told,
  u16,
  udpPacket,
} from '../engine/packets.js';
import { flowAt, frameThatReads } from '../engine/real-frames.js';
import { fdbEntry } from '../engine/state.js';
import { dropsOf, expectConserved, inWords, Watch } from '../engine/watch.js';
import { tapOf } from '../replay/recorded.js';

const NODE1 = { mac: '52:54:00:00:00:6e', address: '192.168.99.110' };
const NODE2 = { mac: '52:54:00:00:00:6f', address: '192.168.99.111' };
const OTHER = { mac: '52:54:00:00:00:70', address: '192.168.99.112' };
const VXLAN = '16:e6:85:7a:e4:90';
/** ingress_sbox of node1, and a task on node2. */
const LOCAL = { mac: '02:42:0a:00:00:02', address: '10.0.0.2' };
const REMOTE = { mac: '02:42:0a:00:00:0b', address: '10.0.0.11' };

/** node1 of S6: its NIC, and the overlay's namespace with br0, vxlan0 and one veth to ingress_sbox. */
async function node1({ mtu = 1450, bridged = true, underlayMtu = 1500 } = {}) {
  const engine = await checkedEngine();
  const segment = engine.segment(1000);
  const host = engine.namespace('node1/host');
  const nic = host.addPhysical('eth0', segment, { mac: NODE1.mac, mtu: underlayMtu });
  host.addAddress(nic, `${NODE1.address}/24`);
  host.addNeighbour(nic, NODE2.address, NODE2.mac);
  host.addNeighbour(nic, OTHER.address, OTHER.mac);
  engine.namespace('node2/host').addPhysical('eth0', segment, { mac: NODE2.mac, mtu: underlayMtu });
  const overlay = engine.namespace('node1/ov-ingress');
  const vxlan = overlay.addVxlan('vxlan0', { mac: VXLAN, mtu, vni: 4096, port: 4789, underlay: host });
  const sandbox = engine.namespace('node1/ingress_sbox');
  sandbox.set('silent', 1);
  const [inside, veth] = sandbox.addVeth(
    'eth0',
    { mac: LOCAL.mac, mtu },
    { namespace: overlay, name: 'veth0', mac: '16:1f:d8:04:64:f4', mtu },
  );
  sandbox.addAddress(inside, `${LOCAL.address}/24`);
  if (bridged) {
    const bridge = overlay.addBridge('br0', { mac: '16:1f:d8:04:64:f4', mtu });
    overlay.addPort(bridge, vxlan);
    overlay.addPort(bridge, veth);
  }
  overlay.addNeighbour(vxlan, REMOTE.address, REMOTE.mac);
  overlay.addVxlanFdb(vxlan, REMOTE.mac, NODE2.address);
  const watch = new Watch(engine, [nic, vxlan, veth]);
  const run = () => engine.run(engine.now + 1_000_000);
  const sends = (frame: Uint8Array) => {
    engine.transmit(vxlan, frame);
    run();
  };
  const receives = (frame: Uint8Array) => {
    engine.receive(nic, frame);
    run();
  };
  return { engine, segment, host, nic, overlay, vxlan, veth, sandbox, watch, sends, receives };
}

/** Blanks what the kernel draws for each tunnel packet: outer IP id and source port, and the checksums over them. */
function masked(frame: Uint8Array): string {
  const copy = frame.slice();
  for (const at of [18, 24, 34, 40]) put16(copy, at, 0);
  return toHex(copy);
}

const inner = (packet: Uint8Array) => ethernet(REMOTE.mac, LOCAL.mac, IPV4, packet);
const answering = (packet: Uint8Array) => ethernet(LOCAL.mac, REMOTE.mac, IPV4, packet);
const request = (options = {}) =>
  udpPacket({ source: LOCAL.address, destination: REMOTE.address, sport: 4000, dport: 53, ...options });
const reply = (options = {}) =>
  udpPacket({ source: REMOTE.address, destination: LOCAL.address, sport: 53, dport: 4000, ...options });

/** What node2 would send for an inner frame, with something about it changed. */
function fromNode2(
  frame: Uint8Array,
  { flags = 0x08, reserved = 0, vni = 4096, from = NODE2, tos = 0, port = 4789, last = 0 } = {},
): Uint8Array {
  const header = Uint8Array.of(flags, 0, 0, reserved, vni >> 16, (vni >> 8) & 255, vni & 255, last);
  const packet = udpPacket(
    { source: from.address, destination: NODE1.address, sport: 40000, dport: port, flags: 0, tos },
    concat(header, frame),
  );
  return ethernet(NODE1.mac, from.mac, IPV4, packet);
}

describe('encapsulation', () => {
  const sent = flowAt('S6-ingress', 'node1.ov-ingress/vxlan0', '10.0.0.2:41001').filter(
    ({ direction }) => direction === 'transmitted',
  );
  const left = tapOf('S6-ingress', 'node1.host/eth0').frames.filter(
    ({ data, direction }) =>
      direction === 'transmitted' &&
      inWords(data).includes(':4789') &&
      inWords(data.subarray(50)).startsWith('10.0.0.2:41001 '),
  );

  it.each(sent.map(({ data }, i) => [inWords(data), i] as const))(
    'of the real %s (%i) is what really left node1',
    async (_, i) => {
      const { engine, nic, watch, sends } = await node1();
      expect(left).toHaveLength(sent.length);
      sends(sent[i]?.data ?? new Uint8Array());
      const [frame = new Uint8Array()] = watch.sent(nic);
      expect(masked(frame)).toBe(masked(left[i]?.data ?? new Uint8Array()));
      expect(checksumsHold(frame.subarray(14))).toBe(true);
      expect(u16(frame, 34)).toBeGreaterThanOrEqual(32768);
      expect(u16(frame, 34)).toBeLessThan(60999);
      expect(u16(frame, 40), 'never 0').not.toBe(0);
      expectConserved(engine);
    },
  );

  it('gives both directions of a flow the same source port, and others others', async () => {
    const { nic, watch, sends, overlay, vxlan } = await node1();
    overlay.addVxlanFdb(vxlan, LOCAL.mac, NODE2.address);
    sends(inner(request()));
    sends(answering(reply()));
    for (let sport = 5000; sport < 5010; sport++) sends(inner(request({ sport })));
    const ports = watch.sent(nic).map((frame) => u16(frame, 34));
    expect(ports[1]).toBe(ports[0]);
    expect(new Set(ports).size).toBeGreaterThan(5);
  });

  it('gives all fragments of a packet the same source port', async () => {
    const { nic, watch, sends } = await node1();
    const part = (flags: number) =>
      inner(
        ipPacket({ source: LOCAL.address, destination: REMOTE.address, flags }, new Uint8Array(64).fill(flags & 255)),
      );
    sends(part(0x2000));
    sends(part(0x2008));
    sends(part(0x0010));
    expect(new Set(watch.sent(nic).map((frame) => u16(frame, 34))).size).toBe(1);
  });

  it('to a MAC that nobody has named goes nowhere', async () => {
    const { engine, nic, watch, sends } = await node1();
    sends(ethernet('02:42:0a:00:00:63', LOCAL.mac, IPV4, request()));
    sends(ethernet(BROADCAST, LOCAL.mac, IPV4, request()));
    expect(watch.sent(nic)).toEqual([]);
    expect(dropsOf(engine)).toEqual(['node1/ov-ingress/vxlan0 VXLAN_NO_REMOTE x2']);
    expectConserved(engine);
  });

  it('without a route to the VTEP goes nowhere', async () => {
    const { engine, overlay, vxlan, sends } = await node1();
    overlay.addVxlanFdb(vxlan, REMOTE.mac, '172.31.0.1');
    sends(inner(request()));
    expect(dropsOf(engine)).toEqual(['node1/ov-ingress/vxlan0 IP_OUT_NO_ROUTE']);
    expectConserved(engine);
  });

  // RFC 6040, section 4.1, normal mode as Linux has it (INET_ECN_encapsulate): CE turns into ECT(0).
  it.each([
    [0x00, 0x00],
    [0x01, 0x01],
    [0x02, 0x02],
    [0x03, 0x02],
    [0xb8, 0x00],
    [0xb9, 0x01],
  ])('of a packet with TOS %i shows TOS %i outside', async (tos, outside) => {
    const { nic, watch, sends } = await node1();
    sends(inner(request({ tos })));
    const [frame = new Uint8Array()] = watch.sent(nic);
    expect([frame[15], frame[50 + 15]]).toEqual([outside, tos]);
  });
});

describe('decapsulation', () => {
  const arrived = tapOf('S6-ingress', 'node1.host/eth0').frames.filter(
    ({ data, direction }) =>
      direction === 'received' &&
      inWords(data).includes(':4789') &&
      /^10\.0\.0\.11:8080 > 10\.0\.0\.2:41001 /.test(inWords(data.subarray(50))),
  );
  const out = flowAt('S6-ingress', 'node1.ov-ingress/vxlan0', '10.0.0.2:41001').filter(
    ({ direction }) => direction === 'received',
  );

  it.each(out.map(({ data }, i) => [inWords(data), i] as const))(
    'of the real packet with %s (%i) gives the real frame',
    async (_, i) => {
      const { engine, vxlan, veth, watch, receives } = await node1();
      expect(arrived).toHaveLength(out.length);
      receives(arrived[i]?.data ?? new Uint8Array());
      const real = toHex(out[i]?.data ?? new Uint8Array());
      expect(watch.received(vxlan).map(toHex)).toEqual([real]);
      expect(watch.sent(veth).map(toHex)).toEqual([real]);
      expectConserved(engine);
    },
  );

  it.each([
    ['another VNI', { vni: 4097 }, 'node1/host/eth0 VXLAN_VNI_NOT_FOUND'],
    ['the flag that says there is a VNI unset', { flags: 0 }, 'node1/host/eth0 VXLAN_INVALID_HDR'],
    ['a flag that nobody knows', { flags: 0x88 }, 'node1/host/eth0 VXLAN_INVALID_HDR'],
    ['a reserved byte in use', { reserved: 1 }, 'node1/host/eth0 VXLAN_INVALID_HDR'],
    ['the last reserved byte in use', { last: 1 }, 'node1/host/eth0 VXLAN_INVALID_HDR'],
    // vxlan_snoop does not migrate a permanent entry: the frame goes.
    ['a MAC that another VTEP has', { from: OTHER }, 'node1/ov-ingress/vxlan0 VXLAN_ENTRY_EXISTS'],
  ] as const)('refuses %s', async (_, change, drop) => {
    const { engine, vxlan, watch, receives } = await node1();
    receives(fromNode2(answering(reply()), change));
    expect(watch.received(vxlan)).toEqual([]);
    expect(dropsOf(engine)).toEqual([drop]);
    expectConserved(engine);
  });

  it('refuses a wrong UDP checksum, and takes none at all', async () => {
    const { engine, vxlan, watch, receives } = await node1();
    const frame = fromNode2(answering(reply()));
    put16(frame, 40, u16(frame, 40) ^ 1);
    receives(frame);
    expect(dropsOf(engine)).toEqual(['node1/host/eth0 UDP_CSUM']);
    put16(frame, 40, 0);
    receives(frame);
    expect(watch.received(vxlan)).toHaveLength(1);
    expectConserved(engine);
  });

  it('refuses what is too short to hold a frame', async () => {
    const { engine, receives } = await node1();
    receives(fromNode2(new Uint8Array(13)));
    expect(dropsOf(engine)).toEqual(['node1/host/eth0 VXLAN_INVALID_HDR']);
    expectConserved(engine);
  });

  it('refuses a frame that seems to come from vxlan0 itself', async () => {
    const { engine, receives } = await node1();
    receives(fromNode2(ethernet(LOCAL.mac, VXLAN, IPV4, reply())));
    expect(dropsOf(engine)).toEqual(['node1/ov-ingress/vxlan0 MAC_INVALID_SOURCE']);
    expectConserved(engine);
  });

  it('learns who is behind which VTEP', async () => {
    const { vxlan, receives } = await node1();
    const stranger = '02:42:0a:00:00:63';
    receives(fromNode2(ethernet(LOCAL.mac, stranger, IPV4, reply()), { from: OTHER }));
    expect(fdbEntry(vxlan, stranger)?.remote).toBe(OTHER.address);
    receives(fromNode2(ethernet(LOCAL.mac, stranger, IPV4, reply())));
    expect(fdbEntry(vxlan, stranger)?.remote).toBe(NODE2.address);
  });

  it('leaves another UDP port to the node’s sockets', async () => {
    const { engine, vxlan, watch, receives } = await node1();
    receives(fromNode2(answering(reply()), { port: 4790 }));
    expect(watch.received(vxlan)).toEqual([]);
    expect(dropsOf(engine)).toContain('node1/host/eth0 NO_SOCKET');
  });

  // RFC 6040, section 4.2; INET_ECN_decapsulate.
  it.each([
    [0, 0, 0],
    [0, 2, 0],
    [2, 2, 2],
    [2, 1, 1],
    [2, 3, 3],
    [1, 3, 3],
    [3, 0, 3],
  ])('of an inner packet marked %i in an outer one marked %i gives %i', async (marked, outer, after) => {
    const { vxlan, watch, receives } = await node1();
    receives(fromNode2(answering(reply({ tos: marked })), { tos: outer }));
    const [frame = new Uint8Array()] = watch.received(vxlan);
    expect((frame[15] ?? 0) & 3).toBe(after);
    expect(checksumsHold(frame.subarray(14))).toBe(true);
  });

  it('of a packet that cannot say "congestion" in one that says it is refused', async () => {
    const { engine, vxlan, watch, receives } = await node1();
    receives(fromNode2(answering(reply({ tos: 0 })), { tos: 3 }));
    expect(watch.received(vxlan)).toEqual([]);
    expect(dropsOf(engine)).toEqual(['node1/ov-ingress/vxlan0 IP_TUNNEL_ECN']);
    expectConserved(engine);
  });
});

describe('ARP', () => {
  it('for a container elsewhere is answered by vxlan0, byte for byte as it was', async () => {
    const { engine, nic, vxlan, veth, watch } = await node1();
    const real = (words: string) => frameThatReads('S6-ingress', 'node1.ov-ingress/vxlan0', words);
    engine.receive(veth, real(`who has ${REMOTE.address} tell ${LOCAL.address}`));
    engine.run(1e9);
    expect(watch.received(vxlan).map(toHex)).toEqual([toHex(real(`${REMOTE.address} is at ${REMOTE.mac}`))]);
    expect(watch.sent(veth).map(inWords)).toEqual([`${REMOTE.address} is at ${REMOTE.mac}`]);
    expect(watch.sent(nic), 'nothing crosses the wire').toEqual([]);
    expectConserved(engine);
  });

  it.each([
    ['for whom nobody knows', arpPacket('request', LOCAL, { address: '10.0.0.99' })],
    ['that answers', arpPacket('reply', LOCAL, REMOTE)],
  ])('%s is swallowed', async (_, packet) => {
    const { engine, nic, vxlan, watch, sends } = await node1();
    sends(ethernet(BROADCAST, LOCAL.mac, ARP, packet));
    expect([...watch.sent(nic), ...watch.received(vxlan)]).toEqual([]);
    expect(dropsOf(engine)).toEqual(['node1/ov-ingress/vxlan0 VXLAN_ARP_SWALLOWED']);
    expectConserved(engine);
  });
});

describe('a packet that does not fit the underlay', () => {
  const DF = 0x4000;
  const big = (options: { size?: number; flags?: number; ttl?: number } = {}) =>
    request2(new Uint8Array((options.size ?? 1500) - 28), { flags: options.flags ?? DF, ttl: options.ttl ?? 64 });
  const request2 = (payload: Uint8Array, options: object) =>
    udpPacket({ source: LOCAL.address, destination: REMOTE.address, sport: 4000, dport: 53, ...options }, payload);

  it('fits up to 1450 bytes', async () => {
    const { nic, watch, sends } = await node1({ mtu: 1500 });
    sends(inner(big({ size: 1450 })));
    expect(watch.sent(nic).map((frame) => frame.length)).toEqual([1514]);
  });

  it('is refused, with DF, in its receiver’s place: 576 bytes that name 1450 as the MTU (iptunnel_pmtud_build_icmp)', async () => {
    const { engine, nic, veth, watch, sends } = await node1({ mtu: 1500 });
    const packet = big({ size: 1451 });
    // The bridge knows where its sender is.
    engine.receive(veth, inner(request()));
    engine.run(engine.now + 1_000_000);
    watch.clear();
    sends(inner(packet));
    expect(watch.sent(nic)).toEqual([]);
    const [frame = new Uint8Array()] = watch.sent(veth);
    const error = frame.subarray(14);
    expect([macText(frame, 0), macText(frame, 6)]).toEqual([LOCAL.mac, REMOTE.mac]);
    expect(told(error)).toBe(`${REMOTE.address} > ${LOCAL.address} ttl 64 icmp 3/4`);
    expect(error.length).toBe(576);
    // TOS 0, id 0, DF; next-hop MTU underlay − 50; the quote is the packet's first 548 bytes.
    expect([error[1], u16(error, 2), u16(error, 4), u16(error, 6)]).toEqual([0, 576, 0, DF]);
    expect([u16(error, 24), u16(error, 26)]).toEqual([0, 1450]);
    expect(toHex(error.subarray(28))).toBe(toHex(packet.subarray(0, 548)));
    expect(checksumsHold(error)).toBe(true);
    expect(dropsOf(engine)).toContain('node1/ov-ingress/vxlan0 PKT_TOO_BIG');
    expectConserved(engine);
  });

  it('is refused with the TTL that it had itself', async () => {
    const { veth, watch, sends } = await node1({ mtu: 1500 });
    sends(inner(big({ ttl: 61 })));
    expect(watch.sent(veth).map(inWords)).toEqual([`${REMOTE.address} > ${LOCAL.address} ttl 61 icmp 3/4`]);
  });

  it('goes through without DF, in fragments of the outer packet', async () => {
    const { engine, nic, veth, watch, sends } = await node1({ mtu: 1500 });
    sends(inner(big({ flags: 0 })));
    expect(watch.sent(veth)).toEqual([]);
    const frames = watch.sent(nic);
    expect(frames.map((frame) => [frame.length, u16(frame, 20)])).toEqual([
      [1514, 0x2000],
      [14 + 20 + 1550 - 20 - 1480, 185],
    ]);
    expect(u16(frames[0] ?? new Uint8Array(), 18)).toBe(u16(frames[1] ?? new Uint8Array(), 18));
    expect(checksum((frames[1] ?? new Uint8Array()).subarray(14, 34))).toBe(0);
    expectConserved(engine);
  });

  it('is not refused if it is an ICMP error itself', async () => {
    const { nic, veth, watch, sends } = await node1({ mtu: 1500 });
    const ends = { source: LOCAL.address, destination: REMOTE.address };
    sends(inner(icmpPacket(ends, { type: 3, code: 1, payload: new Uint8Array(1472) })));
    expect(watch.sent(veth)).toEqual([]);
    expect(watch.sent(nic)).toHaveLength(2);
  });

  it('is not refused by a vxlan device that is no bridge’s port: its own stack hears of MTUs by routing', async () => {
    const { nic, vxlan, watch, sends } = await node1({ mtu: 1500, bridged: false });
    sends(inner(big()));
    expect(watch.received(vxlan).map(inWords)).toEqual([]);
    expect(watch.sent(nic)).toHaveLength(2);
  });
});

describe('what the underlay’s namespace makes of it', () => {
  it('outer packets pass OUTPUT and POSTROUTING on the way out, PREROUTING and INPUT on the way in', async () => {
    const { host, sends, receives } = await node1();
    const rule = (chain: string) =>
      host.iptables.append('mangle', chain, { protocol: 'udp', dport: 4789, target: 'ACCEPT' });
    const chains = ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'].map(rule);
    const counts = () => chains.map(({ packets }) => packets);
    sends(inner(request()));
    expect(counts()).toEqual([0, 0, 0, 1, 1]);
    receives(fromNode2(answering(reply())));
    expect(counts()).toEqual([1, 1, 0, 1, 1]);
  });

  it('and the inner packet’s mark and connection stay inside', async () => {
    const { host, overlay, veth, engine, sandbox } = await node1();
    overlay.iptables.append('mangle', 'FORWARD', { target: 'MARK', value: 7 });
    host.trackConnections();
    const fresh = host.iptables.append('filter', 'OUTPUT', { states: ['NEW'], target: 'ACCEPT' });
    engine.receive(
      veth,
      inner(tcpPacket({ source: LOCAL.address, destination: REMOTE.address, sport: 1, dport: 2 }, { flags: 'S' })),
    );
    engine.run(1e9);
    expect(fresh.packets).toBe(1);
    expect(sandbox.get('connections')).toBe(0);
    expect(host.get('connections')).toBe(1);
  });
});

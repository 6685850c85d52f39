/** A learning bridge without STP (net/bridge: br_input.c, br_forward.c, br_fdb.c), and br_netfilter in its place. */

import { describe, expect, it } from 'vitest';
import { Device as DeviceLayout } from '../../src/engine/generated/layout.js';
import type { Device, Namespace } from '../../src/engine/index.js';
import { checkedEngine } from '../engine/checked.js';
import { ARP, arpPacket, BROADCAST, echo, ethernet, IPV4, macText, tcpPacket, udpPacket } from '../engine/packets.js';
import { connectionsIn, fdbEntry, SECOND } from '../engine/state.js';
import { dropsOf, expectConserved, inWords, Watch } from '../engine/watch.js';

/** assembly/devices/device.ts: HAIRPIN. Docker sets it when there is no docker-proxy; no driver here does. */
const HAIRPIN = 2;
const BRIDGE = '02:42:00:00:00:01';
const mac = (n: number) => `02:42:ac:11:00:0${n}`;
const ip = (n: number) => `172.17.0.${n}`;

/** docker0 with three containers, .2, .3 and .4, that say nothing of themselves. */
async function bridged({ filters = false } = {}) {
  const engine = await checkedEngine();
  const host = engine.namespace('node1/host');
  const bridge = host.addBridge('docker0', { mac: BRIDGE, mtu: 1500 });
  host.addAddress(bridge, '172.17.0.1/16');
  host.set('forward', 1);
  if (filters) host.set('bridgeNetfilter', 1);
  const ports: Device[] = [];
  const containers: Namespace[] = [];
  for (const n of [2, 3, 4]) {
    const container = engine.namespace(`node1/ct-${n}`);
    container.set('silent', 1);
    const [inside, port] = container.addVeth(
      'eth0',
      { mac: mac(n), mtu: 1500 },
      { namespace: host, name: `veth${n}`, mac: `02:00:00:00:00:0${n}`, mtu: 1500 },
    );
    container.addAddress(inside, `${ip(n)}/16`);
    host.addPort(bridge, port);
    ports.push(port);
    containers.push(container);
  }
  const watch = new Watch(engine, ports);
  let seen = 0;
  /** A frame comes out of container `n`; by which ports it leaves, and how it reads there. */
  const from = (n: number, frame: Uint8Array): string[] => {
    const port = ports[n - 2];
    if (!port) throw new Error(`there is no container ${n}`);
    engine.receive(port, frame);
    engine.run(engine.now + 1_000_000);
    const frames = watch.frames().slice(seen);
    seen += frames.length;
    return frames
      .filter(({ direction }) => direction === 'transmitted')
      .map(({ tap, data }) => `${tap.split('/').at(-1)}: ${inWords(data)}`);
  };
  return { engine, host, bridge, ports, containers, watch, from };
}

const udp = (source: number, destination: number, options = {}) =>
  ethernet(
    mac(destination),
    mac(source),
    IPV4,
    udpPacket({ source: ip(source), destination: ip(destination), sport: 1000, dport: 9, ...options }),
  );
const said = (source: number, destination: number) => `${ip(source)}:1000 > ${ip(destination)}:9 ttl 64 udp`;

describe('a bridge', () => {
  it('floods what it does not know to every port but the one that it came by', async () => {
    const { engine, from } = await bridged();
    expect(from(2, udp(2, 3))).toEqual([`veth3: ${said(2, 3)}`, `veth4: ${said(2, 3)}`]);
    expectConserved(engine);
  });

  it('learns from the source, and from then on uses that port alone', async () => {
    const { engine, bridge, ports, from } = await bridged();
    from(3, udp(3, 2));
    expect(fdbEntry(bridge, mac(3))?.port).toBe(ports[1]);
    expect(from(2, udp(2, 3))).toEqual([`veth3: ${said(2, 3)}`]);
    expectConserved(engine);
  });

  it('follows a MAC that moves to another port', async () => {
    const { from } = await bridged();
    from(3, udp(3, 2));
    from(4, udp(3, 2));
    expect(from(2, udp(2, 3))).toEqual([`veth4: ${said(2, 3)}`]);
  });

  it('forgets after 300 s', async () => {
    const { engine, from } = await bridged();
    from(3, udp(3, 2));
    engine.run(299 * SECOND);
    expect(from(2, udp(2, 3))).toHaveLength(1);
    engine.run(engine.now + 301 * SECOND);
    expect(from(2, udp(2, 3))).toHaveLength(2);
  });

  it('floods a broadcast and takes it itself', async () => {
    const { engine, from } = await bridged();
    const request = ethernet(
      BROADCAST,
      mac(2),
      ARP,
      arpPacket('request', { mac: mac(2), address: ip(2) }, { address: ip(1) }),
    );
    // The reply comes from the bridge's own stack, to whom it has just learned.
    expect(from(2, request).sort()).toEqual([
      `veth2: ${ip(1)} is at ${BRIDGE}`,
      `veth3: who has ${ip(1)} tell ${ip(2)}`,
      `veth4: who has ${ip(1)} tell ${ip(2)}`,
    ]);
    expectConserved(engine);
  });

  it('keeps what is for its own MAC, or for that of a port', async () => {
    const { engine, from } = await bridged();
    const ping = echo({ source: ip(2), destination: ip(1) });
    from(
      2,
      ethernet(BROADCAST, mac(2), ARP, arpPacket('request', { mac: mac(2), address: ip(2) }, { address: ip(1) })),
    );
    expect(from(2, ethernet(BRIDGE, mac(2), IPV4, ping))).toEqual([`veth2: ${ip(1)} > ${ip(2)} ttl 64 icmp 0/0`]);
    // A port's MAC is the bridge's too, but not that of its stack.
    expect(from(2, ethernet('02:00:00:00:00:03', mac(2), IPV4, ping))).toEqual([]);
    expect(dropsOf(engine)).toContain('node1/host/docker0 OTHERHOST');
    expectConserved(engine);
  });

  it('does not send a frame back where it came from, unless the port is a hairpin', async () => {
    const { engine, ports, from } = await bridged();
    from(2, udp(2, 3));
    from(2, ethernet(mac(4), mac(3), IPV4, udpPacket({ source: ip(3), destination: ip(4), sport: 1, dport: 2 })));
    // Both .2 and .3 are behind veth2 now.
    expect(from(2, udp(2, 3))).toEqual([]);
    expect(dropsOf(engine)).toContain('node1/host/veth2 BRIDGE_SAME_PORT');
    const [port] = ports;
    if (port) engine.memory.set(port.at, DeviceLayout.flags, engine.memory.get(port.at, DeviceLayout.flags) | HAIRPIN);
    expect(from(2, udp(2, 3))).toEqual([`veth2: ${said(2, 3)}`]);
    expectConserved(engine);
  });

  it('takes no frame from a group’s MAC, and passes nothing on that is reserved for bridges', async () => {
    const { engine, from } = await bridged();
    const packet = udpPacket({ source: ip(2), destination: ip(3), sport: 1, dport: 2 });
    expect(from(2, ethernet(mac(3), '03:00:00:00:00:02', IPV4, packet))).toEqual([]);
    expect(from(2, ethernet('01:80:c2:00:00:00', mac(2), 0x0027, packet))).toEqual([]);
    expect(dropsOf(engine)).toEqual(['node1/host/veth2 BRIDGE_NO_EGRESS', 'node1/host/veth2 MAC_INVALID_SOURCE']);
    expectConserved(engine);
  });

  it('passes on no frame that is longer than the port’s MTU, and room for a VLAN tag', async () => {
    const { engine, ports, from } = await bridged();
    from(3, udp(3, 2));
    for (const port of ports) port.mtu = 1000;
    const frame = (size: number) =>
      ethernet(
        mac(3),
        mac(2),
        IPV4,
        udpPacket({ source: ip(2), destination: ip(3), sport: 1, dport: 2 }, new Uint8Array(size)),
      );
    expect(from(2, frame(1000 + 4 - 28))).toHaveLength(1);
    expect(from(2, frame(1000 + 4 - 28 + 1))).toEqual([]);
    expect(dropsOf(engine)).toContain('node1/host/veth3 PKT_TOO_BIG');
    expectConserved(engine);
  });

  it('with a tap sees what it only forwards', async () => {
    const { engine, bridge, from, watch } = await bridged();
    bridge.tap();
    from(3, udp(3, 2));
    watch.clear();
    engine.receive([...bridge.ports][0] ?? bridge, udp(2, 3));
    engine.run(engine.now + 1_000_000);
    expect(watch.received(bridge).map(inWords)).toEqual([said(2, 3)]);
  });
});

describe('br_netfilter', () => {
  const HOOKS = [
    ['mangle', 'PREROUTING'],
    ['nat', 'PREROUTING'],
    ['mangle', 'INPUT'],
    ['filter', 'INPUT'],
    ['mangle', 'FORWARD'],
    ['filter', 'FORWARD'],
    ['filter', 'OUTPUT'],
    ['mangle', 'POSTROUTING'],
    ['nat', 'POSTROUTING'],
  ] as const;

  it('takes a bridged packet through PREROUTING, FORWARD and POSTROUTING, and no other hook; TTL and MACs stay', async () => {
    const { engine, host, from, watch, ports } = await bridged({ filters: true });
    const rules = HOOKS.map(([table, chain]) => ({
      hook: `${table} ${chain}`,
      rule: host.iptables.append(table, chain, { protocol: 'udp', target: table === 'nat' ? 'RETURN' : 'ACCEPT' }),
    }));
    from(3, udp(3, 2, { sport: 9, dport: 1000 }));
    for (const { rule } of rules) rule.remove();
    const again = HOOKS.map(([table, chain]) => ({
      hook: `${table} ${chain}`,
      rule: host.iptables.append(table, chain, {
        dport: 53,
        protocol: 'udp',
        target: table === 'nat' ? 'RETURN' : 'ACCEPT',
      }),
    }));
    expect(from(2, udp(2, 3, { dport: 53 }))).toEqual([`veth3: ${ip(2)}:1000 > ${ip(3)}:53 ttl 64 udp`]);
    expect(again.filter(({ rule }) => rule.packets > 0).map(({ hook }) => hook)).toEqual([
      'mangle PREROUTING',
      'nat PREROUTING',
      'mangle FORWARD',
      'filter FORWARD',
      'mangle POSTROUTING',
      'nat POSTROUTING',
    ]);
    const frame = watch.sent(ports[1] as Device).at(-1) ?? new Uint8Array();
    expect([macText(frame, 0), macText(frame, 6)]).toEqual([mac(3), mac(2)]);
    expectConserved(engine);
  });

  it('runs the hooks in their order: each sees what the one before it let through', async () => {
    const { host, from } = await bridged({ filters: true });
    const order = [
      ['mangle', 'PREROUTING'],
      ['mangle', 'FORWARD'],
      ['filter', 'FORWARD'],
      ['mangle', 'POSTROUTING'],
    ] as const;
    from(3, udp(3, 2));
    // Each hook in turn drops what the next would have counted.
    for (const [i, [table, chain]] of order.entries()) {
      const drop = host.iptables.append(table, chain, { protocol: 'udp', target: 'DROP' });
      const later = order
        .slice(i + 1)
        .map(([t, c]) => host.iptables.insert(t, c, { protocol: 'udp', target: t === 'mangle' ? 'RETURN' : 'ACCEPT' }));
      const earlier = order
        .slice(0, i)
        .map(([t, c]) => host.iptables.insert(t, c, { protocol: 'udp', target: 'RETURN' }));
      expect(from(2, udp(2, 3, { sport: 2000 + i })), `${table} ${chain}`).toEqual([]);
      expect(earlier.map(({ packets }) => packets)).toEqual(earlier.map(() => 1));
      expect(later.map(({ packets }) => packets)).toEqual(later.map(() => 0));
      for (const rule of [drop, ...later, ...earlier]) rule.remove();
    }
  });

  it('gives rules the bridge as device, in and out', async () => {
    const { host, bridge, from } = await bridged({ filters: true });
    from(3, udp(3, 2));
    const inside = host.iptables.append('filter', 'FORWARD', { in: bridge, out: bridge, target: 'DROP' });
    expect(from(2, udp(2, 3)), 'icc off').toEqual([]);
    expect(inside.packets).toBe(1);
  });

  it('leaves ARP alone', async () => {
    const { host, from } = await bridged({ filters: true });
    host.iptables.chain('filter', 'FORWARD').policy = 'DROP';
    const request = ethernet(
      BROADCAST,
      mac(2),
      ARP,
      arpPacket('request', { mac: mac(2), address: ip(2) }, { address: ip(3) }),
    );
    expect(from(2, request)).toHaveLength(2);
  });

  it('drops what conntrack’s header checks would not take', async () => {
    const { engine, from } = await bridged({ filters: true });
    const broken = udp(2, 3);
    broken[24] = (broken[24] ?? 0) ^ 0xff;
    expect(from(2, broken)).toEqual([]);
    expect(dropsOf(engine)).toEqual(['node1/host/veth2 IP_CSUM']);
    expectConserved(engine);
  });

  it('tracks a bridged connection once, not again at each port', async () => {
    const { host, from } = await bridged({ filters: true });
    host.trackConnections();
    const packet = tcpPacket({ source: ip(2), destination: ip(3), sport: 1000, dport: 80 }, { flags: 'S' });
    from(2, ethernet(mac(3), mac(2), IPV4, packet));
    expect(connectionsIn(host)).toHaveLength(1);
  });

  it('cuts a packet that was put together for conntrack as it came (FACTS 5)', async () => {
    const { engine, host, ports, from, watch } = await bridged({ filters: true });
    host.trackConnections();
    from(3, udp(3, 2));
    watch.clear();
    const whole = udpPacket(
      { source: ip(2), destination: ip(3), sport: 1, dport: 2, id: 77, flags: 0 },
      new Uint8Array(2000),
    );
    const fragments = cut(whole, 1480);
    for (const fragment of fragments) engine.receive(ports[0] as Device, ethernet(mac(3), mac(2), IPV4, fragment));
    engine.run(engine.now + 1_000_000);
    const out = watch.sent(ports[1] as Device).map((frame) => frame.subarray(14));
    expect(out.map((packet) => [...packet])).toEqual(fragments.map((packet) => [...packet]));
    expectConserved(engine);
  });
});

/** RFC 791: `packet`, 20 bytes of header, in fragments of `size` bytes of payload. */
function cut(packet: Uint8Array, size: number): Uint8Array[] {
  const found: Uint8Array[] = [];
  for (let at = 20; at < packet.length; at += size) {
    const data = packet.subarray(at, at + size);
    const more = at + size < packet.length ? 0x2000 : 0;
    const fragment = new Uint8Array(20 + data.length);
    fragment.set(packet.subarray(0, 20));
    fragment.set(data, 20);
    const word = more | ((at - 20) / 8);
    fragment.set([fragment.length >> 8, fragment.length & 255], 2);
    fragment.set([word >> 8, word & 255], 6);
    fragment.set([0, 0], 10);
    let sum = 0;
    for (let i = 0; i < 20; i += 2) sum += (fragment[i] ?? 0) * 256 + (fragment[i + 1] ?? 0);
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
    fragment.set([(~sum >> 8) & 255, ~sum & 255], 10);
    found.push(fragment);
  }
  return found;
}

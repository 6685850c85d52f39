/** A bridge that floods a packet clones it, and the clones share the packet's new connection (nf_conntrack_get). */

import { describe, expect, it } from 'vitest';
import { checkedEngine } from '../engine/checked.js';
import { BROADCAST, ethernet, IPV4, udpPacket } from '../engine/packets.js';
import { connectionsIn } from '../engine/state.js';
import { expectConserved } from '../engine/watch.js';

/** docker0 as it stands: br_netfilter on, nat tables there, FORWARD's policy DROP. */
async function bridgeWithThreeContainers() {
  const engine = await checkedEngine();
  const host = engine.namespace('node1/host');
  const bridge = host.addBridge('docker0', { mac: '02:42:00:00:00:01', mtu: 1500 });
  host.addAddress(bridge, '172.17.0.1/16');
  host.set('bridgeNetfilter', 1);
  host.set('forward', 1);
  host.iptables.chain('nat', 'PREROUTING');
  host.iptables.chain('filter', 'FORWARD').policy = 'DROP';
  const ports = [2, 3, 4].map((n) => {
    const container = engine.namespace(`node1/ct-${n}`);
    container.set('silent', 1);
    const [, port] = container.addVeth(
      'eth0',
      { mac: `02:42:ac:11:00:0${n}`, mtu: 1500 },
      { namespace: host, name: `veth${n}`, mac: `02:00:00:00:00:0${n}`, mtu: 1500 },
    );
    host.addPort(bridge, port);
    return port;
  });
  return { engine, host, first: ports[0] as (typeof ports)[number] };
}

const broadcast = (sport: number) =>
  ethernet(
    BROADCAST,
    '02:42:ac:11:00:02',
    IPV4,
    udpPacket({ source: '172.17.0.2', destination: '172.17.255.255', sport, dport: 9 }),
  );

describe('a new connection whose packet is flooded', () => {
  it('outlives the clones that FORWARD drops, and is one connection a flow', async () => {
    const { engine, host, first } = await bridgeWithThreeContainers();
    for (const sport of [1001, 1002, 1003, 1004]) engine.receive(first, broadcast(sport));
    engine.run(1e9);
    const connections = connectionsIn(host);
    expect(connections.map(({ original }) => original).sort()).toEqual([
      '172.17.0.2:1001 > 172.17.255.255:9',
      '172.17.0.2:1002 > 172.17.255.255:9',
      '172.17.0.2:1003 > 172.17.255.255:9',
      '172.17.0.2:1004 > 172.17.255.255:9',
    ]);
    expect(new Set(connections.map(({ at }) => at)).size, 'records').toBe(4);
    expectConserved(engine);
  });

  it('goes when all of them were dropped', async () => {
    const { engine, host, first } = await bridgeWithThreeContainers();
    host.iptables.chain('filter', 'INPUT').policy = 'DROP';
    for (const sport of [1001, 1002, 1003, 1004]) engine.receive(first, broadcast(sport));
    engine.run(1e9);
    expect(connectionsIn(host)).toEqual([]);
    expect(host.get('connections')).toBe(0);
    expectConserved(engine);
  });
});

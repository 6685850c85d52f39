/** A neighbour that is confirmed again ages anew, sooner perhaps than it would have: flows by it know. */

import { expect, it } from 'vitest';
import { checkedModule } from '../../bench/fuzz/files.js';
import {
  addressNumber,
  concat,
  ethernet,
  ipv4,
  macBytes,
  put32,
  TYPE_ARP,
  TYPE_IPV4,
  UDP,
  udp,
} from '../../bench/headers.js';
import { address6, ipv6, TYPE_IPV6 } from '../../bench/headers6.js';
import { type Device, Engine } from '../../src/engine/index.js';
import { plan } from '../../src/swarm/plan.js';
import { realize } from '../../src/swarm/realize.js';
import { icmp6Packet } from '../engine/packets6.js';
import { books, digest, state } from './seen.js';
import { TWO_NODES, TWO_NODES_6 } from './topologies.js';

const module = await checkedModule();
const SECOND = 1e9;

async function life(fast: boolean, seed: number, v6: boolean, confirmed = true) {
  const engine = await Engine.create({ module, seed, captureBuffer: 8 << 20 });
  engine.exports.setFlowTable(fast ? 1 : 0);
  const { topology } = plan(v6 ? TWO_NODES_6 : TWO_NODES, 1);
  const { namespaces } = realize(engine, topology, { latency: 1 });
  const seen: string[] = [];
  engine.onCapture = (records) => void seen.push(`captured ${records.length} ${digest(records)}`);
  const web = topology.sandboxes.find(({ name }) => name.includes('near1'));
  const eth0 = namespaces.get(`${web?.node}/${web?.name}`)?.device('eth0');
  const host = namespaces.get('node1/host');
  const nic = host?.device('eth0');
  const client = namespaces.get('client/host')?.device('eth0');
  const bridge = eth0?.peer?.master;
  if (!eth0 || !nic || !client || !bridge) throw new RangeError('no such container');
  eth0.namespace.addForeignSocket('udp', { address: v6 ? '::' : '0.0.0.0', port: 80 });
  for (const device of [eth0, bridge]) device.tap();
  const { datagram, says } = v6 ? overIpv6(nic, client, bridge, eth0) : overIpv4(nic, client, bridge, eth0);
  for (let second = 0; second < 50; second++) {
    engine.receive(nic, datagram);
    if (confirmed && second === 3) engine.receive(eth0.peer as Device, says);
    engine.run(engine.now + SECOND);
    seen.push(...state(engine));
  }
  return { seen: [...seen, ...books(engine)], fast: engine.exports.fastPackets() };
}

/** To the port that the container publishes; and what the container says of itself. */
function overIpv4(nic: Device, client: Device, bridge: Device, eth0: Device) {
  const ends = { source: addressNumber(client.address ?? ''), destination: addressNumber(nic.address ?? '') };
  const packet = ipv4({ ...ends, protocol: UDP, fragment: 0x4000 }, udp(40_000, 9090, new Uint8Array(18)));
  const reply = new Uint8Array(28);
  reply.set([0, 1, 8, 0, 6, 4, 0, 2, ...macBytes(eth0.mac)]);
  put32(reply, 14, addressNumber(eth0.address ?? ''));
  reply.set(macBytes(bridge.mac), 18);
  put32(reply, 24, addressNumber(bridge.address ?? ''));
  return {
    datagram: ethernet(macBytes(nic.mac), macBytes(client.mac), TYPE_IPV4, packet),
    says: ethernet(macBytes(bridge.mac), macBytes(eth0.mac), TYPE_ARP, reply),
  };
}
function overIpv6(nic: Device, client: Device, bridge: Device, eth0: Device) {
  const of = ({ addresses6 }: Device) => addresses6.find(({ address }) => !address.startsWith('fe80'))?.address ?? '';
  const ends = { source: address6(of(client)), destination: address6(of(nic)), protocol: UDP };
  const packet = ipv6(ends, udp(40_000, 9090, new Uint8Array(18)));
  // A neighbour advertisement that was asked for, with the address of the link (RFC 4861, section 4.4).
  const payload = concat(address6(of(eth0)), Uint8Array.of(2, 1), macBytes(eth0.mac));
  const advertisement = icmp6Packet(
    { source: of(eth0), destination: of(bridge), hopLimit: 255 },
    { type: 136, rest: 0x60000000, payload },
  );
  return {
    datagram: ethernet(macBytes(nic.mac), macBytes(client.mac), TYPE_IPV6, packet),
    says: ethernet(macBytes(bridge.mac), macBytes(eth0.mac), TYPE_IPV6, advertisement),
  };
}

it.each(['IPv4', 'IPv6'])(
  'over %s a neighbour that is confirmed again is stale when its last answer has run out',
  async (family) => {
    for (const seed of [1, 2, 3, 4]) {
      const [slow, quick] = [await life(false, seed, family === 'IPv6'), await life(true, seed, family === 'IPv6')];
      expect(quick.seen).toEqual(slow.seen);
      expect(quick.fast).toBeGreaterThan(25);
      // What the container says of itself makes a difference.
      const unsaid = await life(false, seed, family === 'IPv6', false);
      const neighbours = ({ seen }: { seen: string[] }) => seen.filter((line) => line.startsWith('neighbour')).join();
      expect(neighbours(unsaid) === neighbours(slow)).toBe(false);
    }
  },
);

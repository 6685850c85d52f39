/** Every tunnel pushes 50 bytes before a frame; where the headroom ends Linux makes room (skb_cow_head). */

import { expect, it } from 'vitest';
import { checkedEngine } from '../engine/checked.js';
import { ethernet, IPV4, udpPacket } from '../engine/packets.js';
import { dropsOf, expectConserved, Watch } from '../engine/watch.js';

it.each([1, 2, 3, 6])('a frame through %i vxlan devices, one inside the other, leaves whole', async (depth) => {
  const engine = await checkedEngine();
  const segment = engine.segment(1000);
  const host = engine.namespace('node1/host');
  const nic = host.addPhysical('eth0', segment, { mac: '02:00:00:00:00:01', mtu: 9000 });
  host.addAddress(nic, '10.0.0.1/24');
  host.addNeighbour(nic, '10.0.0.2', '02:00:00:00:00:02');
  engine.namespace('node2/host').addPhysical('eth0', segment, { mac: '02:00:00:00:00:02', mtu: 9000 });
  let device = nic;
  for (let level = 1; level <= depth; level++) {
    const name = `vxlan${level}`;
    const link = { mac: `02:00:00:00:0${level}:01`, mtu: 9000 };
    device = host.addVxlan(name, { ...link, vni: level, port: 4789, underlay: host });
    host.addAddress(device, `10.0.${level}.1/24`);
    host.addNeighbour(device, `10.0.${level}.2`, `02:00:00:00:0${level}:02`);
    host.addVxlanFdb(device, `02:00:00:00:0${level}:02`, `10.0.${level - 1}.2`);
  }
  const watch = new Watch(engine, [nic]);
  const inner = ethernet(
    `02:00:00:00:0${depth}:02`,
    `02:00:00:00:0${depth}:01`,
    IPV4,
    udpPacket({ source: `10.0.${depth}.1`, destination: `10.0.${depth}.2`, sport: 1, dport: 2 }),
  );
  engine.transmit(device, inner);
  engine.run(1e9);
  const [sent] = watch.sent(nic);
  // Either whole, or refused by name; never written over what lies before the headroom.
  if (!dropsOf(engine).some((drop) => drop.includes('NOMEM'))) {
    expect(sent?.length).toBe(inner.length + 50 * depth);
    expect(sent?.subarray(-inner.length)).toEqual(inner);
  }
  expectConserved(engine);
});

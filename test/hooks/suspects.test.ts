import { expect, it } from 'vitest';
import { checkedEngine } from '../engine/checked.js';
import { ethernet, IPV4, tcpPacket, udpPacket, BROADCAST } from '../engine/packets.js';
import { connectionsIn } from '../engine/state.js';
import { dropsOf, expectConserved, inWords, Watch } from '../engine/watch.js';
import { ALICE, BOB, LEFT, MAC, RIGHT, routerWorld } from '../engine/world.js';

it('A: clones of a packet with a new connection', async () => {
  const engine = await checkedEngine();
  const host = engine.namespace('node/host');
  const bridge = host.addBridge('docker0', { mac: '02:42:00:00:00:01', mtu: 1500 });
  host.addAddress(bridge, '172.17.0.1/16');
  host.set('bridgeNetfilter', 1);
  host.set('forward', 1);
  host.iptables.chain('nat', 'PREROUTING');
  host.iptables.chain('filter', 'FORWARD').policy = 'DROP';
  const ports = [1, 2, 3].map((n) => {
    const c = engine.namespace(`node/c${n}`);
    c.set('silent', 1);
    const [, out] = c.addVeth('eth0', { mac: `02:42:ac:11:00:0${n}`, mtu: 1500 }, { namespace: host, name: `v${n}`, mac: `02:00:00:00:00:0${n}`, mtu: 1500 });
    host.addPort(bridge, out);
    return out;
  });
  const b = (sport: number) => ethernet(BROADCAST, '02:42:ac:11:00:01', IPV4, udpPacket({ source: '172.17.0.2', destination: '172.17.255.255', sport, dport: 9 }));
  for (let i = 0; i < 4; i++) engine.receive(ports[0]!, b(1000 + i));
  engine.run(1e9);
  console.log(connectionsIn(host).map((c) => `${c.at} ${c.original}`), dropsOf(engine), engine.account);
  expect(new Set(connectionsIn(host).map((c) => c.original)).size).toBe(4);
});
it('B: null binding of a destination', async () => {
  const w = await routerWorld();
  w.router.iptables.append('nat', 'PREROUTING', { protocol: 'tcp', dport: 8080, target: 'DNAT', address: BOB, port: 80 });
  w.fromAlice(tcpPacket({ source: ALICE, destination: LEFT, sport: 4000, dport: 8080 }, { flags: 'S' }));
  w.fromAlice(tcpPacket({ source: ALICE, destination: BOB, sport: 4000, dport: 80 }, { flags: 'S' }));
  console.log(w.toBob(), w.drops());
  expect(w.drops()).toEqual([]);
});
it('C1: remove a neighbour that packets wait for', async () => {
  const w = await routerWorld({ neighbours: false });
  w.fromAlice(udpPacket({ source: ALICE, destination: BOB, sport: 4000, dport: 80 }));
  const at = (() => { for (let i = 0; i < w.engine.exports.neighbourSlots(); i++) { const a = w.engine.exports.neighbourAt(i); if (a) return a; } return 0; })();
  w.engine.exports.removeNeighbour(at);
  w.engine.run(20e9);
  console.log(w.toBob(), w.drops(), w.engine.account);
  expectConserved(w.engine);
});
it('C2: remove a neighbour with a timer', async () => {
  const w = await routerWorld({ neighbours: false });
  w.router.addNeighbour(w.right, BOB, MAC.bob, 'reachable');
  const e = w.router.addNeighbour(w.right, BOB, MAC.bob, 'reachable');
  w.fromAlice(udpPacket({ source: ALICE, destination: BOB, sport: 4000, dport: 80 }), 60e9);
  w.router.removeNeighbour(e);
  w.engine.run(120e9);
  console.log(w.watch.frames(w.right).map((f) => `${f.time} ${inWords(f.data)}`), w.drops(), w.engine.account);
});
it('D: vxlan in vxlan in vxlan', async () => {
  const engine = await checkedEngine();
  const host = engine.namespace('n/host');
  let under = host;
  const seg = engine.segment(1000);
  let dev = host.addPhysical('eth0', seg, { mac: '02:00:00:00:00:01', mtu: 9000 });
  host.addAddress(dev, '10.0.0.1/24');
  host.addNeighbour(dev, '10.0.0.2', '02:00:00:00:00:02');
  const peer = engine.namespace('p/host');
  peer.addPhysical('eth0', seg, { mac: '02:00:00:00:00:02', mtu: 9000 });
  for (let i = 1; i <= 6; i++) {
    const v = under.addVxlan(`vx${i}`, { mac: `02:00:00:00:0${i}:01`, mtu: 9000, vni: i, port: 4789, underlay: under });
    under.addAddress(v, `10.0.${i}.1/24`);
    under.addNeighbour(v, `10.0.${i}.2`, `02:00:00:00:0${i}:02`);
    under.addVxlanFdb(v, `02:00:00:00:0${i}:02`, `10.0.${i - 1}.2`);
    dev = v;
  }
  const watch = new Watch(engine, [host.device('eth0')]);
  engine.transmit(dev, ethernet('02:00:00:00:06:02', '02:00:00:00:06:01', IPV4, udpPacket({ source: '10.0.6.1', destination: '10.0.6.2', sport: 1, dport: 2 })));
  engine.run(1e9);
  console.log(watch.frames().map((f) => `${f.data.length} ${inWords(f.data)}`), dropsOf(engine), engine.account);
});

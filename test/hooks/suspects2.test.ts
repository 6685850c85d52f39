import { it } from 'vitest';
import { checkedEngine } from '../engine/checked.js';
import { ethernet, IPV4, tcpPacket, udpPacket, toHex, ipPacket } from '../engine/packets.js';
import { balancedIn, connectionsIn } from '../engine/state.js';
import { dropsOf, inWords, Watch } from '../engine/watch.js';
import { ALICE, BOB, LEFT, MAC, RIGHT, routerWorld } from '../engine/world.js';

it('G: bridged DNAT', async () => {
  const engine = await checkedEngine();
  const host = engine.namespace('node/host');
  const bridge = host.addBridge('docker0', { mac: '02:42:00:00:00:01', mtu: 1500 });
  host.addAddress(bridge, '172.17.0.1/16');
  host.set('bridgeNetfilter', 1);
  host.set('forward', 1);
  host.iptables.append('nat', 'PREROUTING', { protocol: 'tcp', dport: 8080, target: 'DNAT', address: '172.17.0.3', port: 8080 });
  const ports = [1, 2].map((n) => {
    const c = engine.namespace(`node/c${n}`);
    c.set('silent', 1);
    const [, out] = c.addVeth('eth0', { mac: `02:42:ac:11:00:0${n + 1}`, mtu: 1500 }, { namespace: host, name: `v${n}`, mac: `02:00:00:00:00:0${n}`, mtu: 1500 });
    host.addPort(bridge, out);
    host.addNeighbour(bridge, `172.17.0.${n + 1}`, `02:42:ac:11:00:0${n + 1}`, 'reachable');
    return out;
  });
  const w = new Watch(engine, ports);
  engine.receive(ports[0]!, ethernet('02:42:00:00:00:01', '02:42:ac:11:00:02', IPV4, tcpPacket({ source: '172.17.0.2', destination: '172.17.0.1', sport: 4000, dport: 8080 }, { flags: 'S' })));
  engine.run(1e9);
  console.log(w.frames().map((f) => `${f.tap} ${toHex(f.data.subarray(0, 12))} ${inWords(f.data)}`), dropsOf(engine));
});
it('E: removed destination', async () => {
  const w = await routerWorld();
  w.router.set('ipvsConntrack', 1); w.router.set('ipvsExpireNodest', 1); w.router.set('ipvsReuseMode', 0);
  w.router.iptables.chain('nat', 'POSTROUTING');
  const s = w.router.ipvs.add({ protocol: 'tcp', address: LEFT, port: 80 });
  const d = s.add(BOB);
  const client = { source: ALICE, destination: LEFT, sport: 4000, dport: 80 };
  const server = { source: BOB, destination: ALICE, sport: 80, dport: 4000 };
  w.fromAlice(tcpPacket(client, { flags: 'S', sequence: 100 }));
  w.fromBob(tcpPacket(server, { flags: 'SA', sequence: 500, acknowledgment: 101 }));
  w.fromAlice(tcpPacket(client, { flags: 'A', sequence: 101, acknowledgment: 501 }));
  d.remove();
  w.engine.run(w.engine.now + 5e9);
  console.log(w.toBob(), w.toAlice(), balancedIn(w.router), connectionsIn(w.router));
  w.fromBob(tcpPacket(server, { flags: 'PA', sequence: 501, acknowledgment: 101, payload: 'x' }));
  console.log('reply after', w.toAlice(), w.drops());
  w.fromAlice(tcpPacket(client, { flags: 'A', sequence: 101, acknowledgment: 502 }));
  console.log('request after', w.toBob(), w.toAlice(), w.drops(), balancedIn(w.router), connectionsIn(w.router).map((c) => c.original));
});
it('J: DF and reassembled, larger than the MTU of the way out', async () => {
  const w = await routerWorld({ mtuRight: 1000 });
  w.router.trackConnections();
  const whole = udpPacket({ source: ALICE, destination: BOB, sport: 1, dport: 2 }, new Uint8Array(2000)).subarray(20);
  const piece = (from: number, to: number, flags: number) => ipPacket({ source: ALICE, destination: BOB, id: 9, flags: flags | (from >> 3) }, whole.subarray(from, to));
  w.fromAlice(piece(0, 1480, 0x6000));
  w.fromAlice(piece(1480, 2008, 0x4000));
  console.log(w.packetsToAlice().map((p) => toHex(p.subarray(0, 60))), w.toBob(), w.drops());
});
it('I: VLAN_HLEN', async () => {});

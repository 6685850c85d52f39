/**
 * DNAT of a bridged packet to a host behind the same bridge: it stays a bridged packet (br_nf_pre_routing_finish and
 * br_nf_pre_routing_finish_bridge). A task that calls a published port of its own node over docker_gwbridge goes this way:
 * DOCKER-INGRESS sends it to ingress_sbox, which is a port of the same bridge.
 */

import { describe, expect, it } from 'vitest';
import type { Device, Namespace } from '../../src/engine/index.js';
import { checkedEngine } from '../engine/checked.js';
import { ARP, arpPacket, ethernet, IPV4, macText, tcpPacket, u16 } from '../engine/packets.js';
import { expectConserved, inWords, Watch } from '../engine/watch.js';

const SANDBOX = '02:42:ac:13:00:02';
const BRIDGE = '02:42:00:00:00:01';

/** docker_gwbridge with a sandbox and a task behind it; what the task asks of port 8080 goes to the sandbox. */
async function gwbridge({ known }: { known: boolean }) {
  const engine = await checkedEngine();
  const host = engine.namespace('node1/host');
  const bridge = host.addBridge('docker_gwbridge', { mac: '02:42:00:00:00:01', mtu: 1500 });
  host.addAddress(bridge, '172.19.0.1/16');
  host.set('bridgeNetfilter', 1);
  host.set('forward', 1);
  host.iptables.append('nat', 'PREROUTING', {
    protocol: 'tcp',
    dport: 8080,
    destinationType: 'LOCAL',
    target: 'DNAT',
    address: '172.19.0.2',
    port: 8080,
  });
  const join = (name: string, last: number): Device => {
    const sandbox = engine.namespace(`node1/${name}`);
    sandbox.set('silent', known ? 1 : 0);
    const [inside, port] = sandbox.addVeth(
      'eth1',
      { mac: `02:42:ac:13:00:0${last}`, mtu: 1500 },
      { namespace: host, name: `veth-${name}`, mac: `02:00:00:00:00:0${last}`, mtu: 1500 },
    );
    sandbox.addAddress(inside, `172.19.0.${last}/16`);
    sandbox.addForeignSocket('tcp', { address: '0.0.0.0', port: 8080 }, { address: '172.19.0.3', port: 4000 });
    host.addPort(bridge, port);
    if (known) host.addNeighbour(bridge, `172.19.0.${last}`, `02:42:ac:13:00:0${last}`, 'reachable');
    return port;
  };
  const toSandbox = join('ingress_sbox', 2);
  const fromTask = join('task-web.1', 3);
  if (known) host.learnFdb(bridge, SANDBOX, toSandbox);
  const watch = new Watch(engine, [toSandbox, bridge]);
  const ask = (until = 1e9) => {
    const ends = { source: '172.19.0.3', destination: '172.19.0.1', sport: 4000, dport: 8080 };
    const syn = tcpPacket(ends, { flags: 'S' });
    engine.receive(fromTask, ethernet('02:42:00:00:00:01', '02:42:ac:13:00:03', IPV4, syn));
    engine.run(until);
  };
  return { engine, host, bridge, toSandbox, watch, ask };
}

/** `TTL, from whose MAC`. */
const seen = (frames: Uint8Array[]) =>
  frames.filter((frame) => u16(frame, 12) === IPV4).map((frame) => `${frame[22]} ${macText(frame, 6)}`);

it('only the destination MAC changes: the source MAC and the TTL stay', async () => {
  const { engine, toSandbox, watch, ask } = await gwbridge({ known: true });
  ask();
  const [frame = new Uint8Array(), ...more] = watch.sent(toSandbox);
  expect(more).toEqual([]);
  expect(inWords(frame)).toBe('172.19.0.3:4000 > 172.19.0.2:8080 ttl 64 tcp S');
  expect(macText(frame, 0)).toBe(SANDBOX);
  expect(macText(frame, 6)).toBe('02:42:ac:13:00:03');
  expectConserved(engine);
});

it('a promiscuous bridge routes it as well: it arrives twice, the second time a hop older', async () => {
  const { engine, bridge, toSandbox, watch, ask } = await gwbridge({ known: true });
  bridge.promiscuous = true;
  ask();
  expect(seen(watch.sent(toSandbox))).toEqual(['64 02:42:ac:13:00:03', '63 02:42:00:00:00:01']);
  expectConserved(engine);
});

it('a neighbour that is not known is asked for by the bridge, whose own tap sees the packet leave; it is bridged all the same', async () => {
  const { engine, bridge, toSandbox, watch, ask } = await gwbridge({ known: false });
  ask();
  const sent = watch.sent(bridge);
  expect(sent.map((frame) => u16(frame, 12))).toEqual([ARP, IPV4]);
  expect(seen(sent)).toEqual(['64 02:42:00:00:00:01']);
  expect(seen(watch.sent(toSandbox))).toEqual(['64 02:42:ac:13:00:03']);
  expectConserved(engine);
});

describe('a packet of a connection that is there already', () => {
  /** Its SYN has gone to the sandbox, with the bridge's address; the sandbox's MAC is forgotten, and the SYN comes once more. */
  async function again(meanwhile: (host: Namespace) => void) {
    const { engine, host, bridge, toSandbox, watch, ask } = await gwbridge({ known: true });
    host.iptables.append('nat', 'POSTROUTING', { protocol: 'tcp', dport: 8080, target: 'MASQUERADE' });
    ask();
    host.removeNeighbour(host.addNeighbour(bridge, '172.19.0.2', SANDBOX, 'reachable'));
    const reply = arpPacket('reply', { mac: SANDBOX, address: '172.19.0.2' }, { mac: BRIDGE, address: '172.19.0.1' });
    const answer = ethernet(BRIDGE, SANDBOX, ARP, reply);
    engine.at(engine.now + 1e6, () => {
      meanwhile(host);
      engine.receive(toSandbox, answer);
    });
    ask(engine.now + 1e9);
    expectConserved(engine);
    return watch
      .sent(toSandbox)
      .filter((frame) => u16(frame, 12) === IPV4)
      .map(inWords);
  }
  const translated = '172.19.0.1:4000 > 172.19.0.2:8080 ttl 64 tcp S';

  it('has it still when it has waited for its neighbour', async () => {
    expect(await again(() => {})).toEqual([translated, translated]);
  });

  it('goes on without it when it has ended meanwhile', async () => {
    const left = await again((host) => {
      expect(host.forgetConnectionsOf('172.19.0.2')).toBe(1);
    });
    expect(left).toEqual([translated, '172.19.0.3:4000 > 172.19.0.2:8080 ttl 64 tcp S']);
  });
});

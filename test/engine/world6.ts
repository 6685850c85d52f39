/**
 * Two IPv6 links and the router between them:
 *
 *   client 2001:db8:1::2 ── left 2001:db8:1::1 │ router │ right 2001:db8:2::1 ── server 2001:db8:2::2
 */

import { type Device, type Engine, type EngineOptions, type Namespace, Sockets } from '../../src/engine/index.js';
import { checkedEngine } from './checked.js';
import { ethernet, u16 } from './packets.js';
import { checksumHolds6, IPV6, told6 } from './packets6.js';
import { dropsOf, Watch } from './watch.js';

export const CLIENT = '2001:db8:1::2';
export const LEFT = '2001:db8:1::1';
export const RIGHT = '2001:db8:2::1';
export const SERVER = '2001:db8:2::2';
export const MAC6 = {
  client: '02:00:00:00:01:02',
  left: '02:00:00:00:01:01',
  right: '02:00:00:00:02:01',
  server: '02:00:00:00:02:02',
};

export interface World6 {
  engine: Engine;
  client: Namespace;
  router: Namespace;
  server: Namespace;
  nic: Device;
  left: Device;
  right: Device;
  serverNic: Device;
  watch: Watch;
  sockets: Sockets;
  /** Runs for so many seconds more. */
  run(seconds: number): void;
  /** What a device has seen since the last look, in words; every upper-layer checksum has been checked. */
  seen(device: Device): string[];
  /** IPv6 packets that a device has sent so far. */
  packets(device: Device): Uint8Array[];
  /** A packet that arrives at a device as if its neighbour had sent it. */
  arrive(device: Device, packet: Uint8Array, from?: string): void;
  drops(): string[];
}

export async function world6(
  options: Omit<EngineOptions, 'module'> & { mtuRight?: number; neighbours?: boolean } = {},
): Promise<World6> {
  const { mtuRight = 1500, neighbours = true, ...rest } = options;
  const engine = await checkedEngine(rest);
  const [client, router, server] = ['client', 'router', 'server'].map((name) => engine.namespace(`${name}/host`)) as [
    Namespace,
    Namespace,
    Namespace,
  ];
  const [left, nic] = router.addVeth(
    'left',
    { mac: MAC6.left, mtu: 1500 },
    { namespace: client, name: 'eth0', mac: MAC6.client, mtu: 1500 },
  );
  const [right, serverNic] = router.addVeth(
    'right',
    { mac: MAC6.right, mtu: mtuRight },
    { namespace: server, name: 'eth0', mac: MAC6.server, mtu: mtuRight },
  );
  for (const namespace of [client, router, server]) namespace.ipv6.enable(namespace.device('lo'));
  for (const [namespace, device, address] of [
    [client, nic, CLIENT],
    [router, left, LEFT],
    [router, right, RIGHT],
    [server, serverNic, SERVER],
  ] as const) {
    namespace.ipv6.addLinkLocal(device);
    namespace.addAddress(device, `${address}/64`);
  }
  router.ipv6.forwards = true;
  client.addRoute('::/0', nic, LEFT);
  server.addRoute('::/0', serverNic, RIGHT);
  if (neighbours) {
    client.addNeighbour(nic, LEFT, MAC6.left);
    router.addNeighbour(left, CLIENT, MAC6.client);
    router.addNeighbour(right, SERVER, MAC6.server);
    server.addNeighbour(serverNic, RIGHT, MAC6.right);
  }
  const watch = new Watch(engine, [nic, left, right, serverNic]);
  const sockets = new Sockets(engine);
  const looked = new Map<Device, number>();
  const packets = (device: Device) =>
    watch
      .frames(device)
      .filter(({ data }) => u16(data, 12) === IPV6)
      .map(({ data, direction }) => ({ packet: data.subarray(14), direction }));
  return {
    engine,
    client,
    router,
    server,
    nic,
    left,
    right,
    serverNic,
    watch,
    sockets,
    run: (seconds) => {
      engine.run(engine.now + seconds * 1e9, sockets.handle);
    },
    seen: (device) => {
      const all = packets(device);
      const fresh = all.slice(looked.get(device) ?? 0);
      looked.set(device, all.length);
      return fresh.map(({ packet }) => {
        if (!checksumHolds6(packet)) throw new Error(`wrong checksum: ${told6(packet)}`);
        return told6(packet);
      });
    },
    packets: (device) =>
      packets(device)
        .filter(({ direction }) => direction === 'transmitted')
        .map(({ packet }) => packet),
    arrive: (device, packet, from = device.peer?.mac ?? MAC6.client) => {
      engine.receive(device, ethernet(device.mac, from, IPV6, packet));
    },
    drops: () => dropsOf(engine),
  };
}

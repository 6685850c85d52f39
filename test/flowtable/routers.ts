/** Routers, one behind the other, without Docker: what comes in at the first is for the last. */

import type { Device, Engine, Namespace } from '../../src/engine/index.js';

const MTU = 1500;
const mac = (a: number, b: number) => `02:00:00:00:${a.toString(16).padStart(2, '0')}:0${b}`;

export interface Routers {
  routers: number;
  tapped?: boolean;
  /** Further ports of a bridge in front of the last one. */
  ports?: number;
}

/** `router0` stands outside; the link before `routerI` is 10.0.I.0/24, where that has the second address. */
export function routersIn(
  engine: Engine,
  { routers, tapped = false, ports = 0 }: Routers,
): { all: Namespace[]; into: Device } {
  const all = Array.from({ length: routers + 1 }, (_, i) => engine.namespace(`router${i}`));
  const veth = (i: number, from: Namespace, to: Namespace) =>
    from.addVeth('eth1', { mac: mac(i, 1), mtu: MTU }, { namespace: to, name: 'eth0', mac: mac(i, 2), mtu: MTU });
  let into: Device | undefined;
  for (const [i, to] of all.entries()) {
    if (i === 0) continue;
    const from = all[i - 1] as Namespace;
    let [out, arrives] = veth(i, from, to);
    if (ports > 0 && i === routers) {
      // Between the last two stands a bridge with many ports.
      from.removeDevice(out);
      const aside = engine.namespace('bridge');
      const bridge = aside.addBridge('br0', { mac: mac(90, 0), mtu: MTU });
      const port = (name: string, namespace: Namespace, other: string, hardware: string) => {
        const [end, peer] = namespace.addVeth(
          other,
          { mac: hardware, mtu: MTU },
          { namespace: aside, name, mac: mac(91, aside.devices.size % 10), mtu: MTU },
        );
        aside.addPort(bridge, peer);
        return end;
      };
      out = port('in', from, 'eth1', mac(i, 1));
      arrives = port('out', to, 'eth0', mac(i, 2));
      for (let n = 0; n < ports; n++) port(`port${n}`, engine.namespace(`other${n}`), 'eth0', mac(100 + n, 3));
    }
    from.addAddress(out, `10.0.${i}.1/24`);
    to.addAddress(arrives, `10.0.${i}.2/24`);
    from.addNeighbour(out, `10.0.${i}.2`, arrives.mac);
    to.addNeighbour(arrives, `10.0.${i}.1`, out.mac);
    if (i < routers) from.addRoute(`10.0.${routers}.2/32`, out, `10.0.${i}.2`);
    to.addRoute('10.0.0.0/16', arrives, `10.0.${i}.1`);
    from.set('forward', 1);
    if (i === 1) into = arrives;
    if (tapped) for (const one of [out, arrives]) one.tap();
  }
  if (!into) throw new RangeError('no routers');
  return { all, into };
}

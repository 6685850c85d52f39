/**
 * A swarm that is stood up from what its operator chose has the tables of the real one: the dumps of S6-ingress and
 * S7-ingress-one, namespace by namespace.
 */

import { describe, expect, it } from 'vitest';
import type { Sysctl } from '../../src/engine/namespace.js';
import { namespaceName, topologyOf } from '../../src/replay/topology.js';
import { realize } from '../../src/swarm/realize.js';
import { checkedEngine } from '../engine/checked.js';
import { recorded, SCENARIOS } from '../replay/recorded.js';
import * as dump from './dump.js';

/** Rules that other scenarios left behind in a node that lived on: those of an encrypted overlay, S9's. */
const ENCRYPTED_OVERLAY = / -m u32 --u32 /;
/**
 * Tables that only such a left-over had opened: without it the node's mangle table is not there, and its base chains,
 * all empty and accepting, change nothing.
 */
const OPENED_BY_LEFTOVERS = /^mangle :\w+ ACCEPT$/;

async function stood(scenario: string) {
  const engine = await checkedEngine();
  return realize(engine, topologyOf(recorded(scenario).inputs));
}

const SYSCTLS: [Sysctl, string][] = [
  ['forward', 'net/ipv4/ip_forward'],
  ['bridgeNetfilter', 'net/bridge/bridge-nf-call-iptables'],
  ['ipvsConntrack', 'net/ipv4/vs/conntrack'],
  ['ipvsExpireNodest', 'net/ipv4/vs/expire_nodest_conn'],
  ['ipvsReuseMode', 'net/ipv4/vs/conn_reuse_mode'],
  ['connectionsMax', 'net/netfilter/nf_conntrack_max'],
];

/** Has a test of its own below. */
const LOOPBACK_BROADCAST = 'broadcast 127.255.255.255 dev lo src 127.0.0.1';

describe.each(SCENARIOS)('%s', (scenario) => {
  const namespaces = dump.dumpedNamespaces(scenario);

  it('has a dump of every namespace that is stood up', async () => {
    const { namespaces: ours } = await stood(scenario);
    expect([...ours.keys()].filter((name) => !name.startsWith('client/')).sort()).toEqual(
      namespaces.map(namespaceName).sort(),
    );
  });

  describe.each(namespaces)('%s', (name) => {
    async function ours() {
      const { namespaces: all } = await stood(scenario);
      const namespace = all.get(namespaceName(name));
      if (!namespace) throw new Error(`${name} is not stood up`);
      return namespace;
    }
    const host = name.endsWith('.host');
    const balancer = name.endsWith('.ingress_sbox');

    it('has the same chains with the same policies and rules in the same order', async () => {
      const real = dump
        .dumpedRules(scenario, name)
        .filter((line) => !ENCRYPTED_OVERLAY.test(line))
        .filter((line) => !(host && OPENED_BY_LEFTOVERS.test(line)));
      expect(dump.byChain(dump.ourRules(await ours()))).toEqual(dump.byChain(real));
    });

    it('has the same devices, addresses, MACs and MTUs', async () => {
      expect(dump.ourDevices(await ours())).toEqual(dump.dumpedDevices(scenario, name));
    });

    it('has the same ports on its bridges, in the same order', async () => {
      expect(dump.ourPorts(await ours())).toEqual(dump.dumpedPorts(scenario, name));
    });

    it('has the same routes in main', async () => {
      expect(dump.ourRoutes(await ours(), 'main')).toEqual(dump.dumpedRoutes(scenario, name, 'main'));
    });

    it('has the same routes in local', async () => {
      const real = dump.dumpedRoutes(scenario, name, 'local').filter((line) => line !== LOOPBACK_BROADCAST);
      const mine = dump.ourRoutes(await ours(), 'local').filter((line) => line !== LOOPBACK_BROADCAST);
      expect(mine).toEqual(real);
    });

    it('has the same permanent neighbours', async () => {
      expect(dump.ourPermanentNeighbours(await ours())).toEqual(dump.dumpedPermanentNeighbours(scenario, name));
    });

    it('has the same forwarding entries on vxlan devices, and the bridges know their own MACs', async () => {
      const { vxlan, own } = dump.ourFdb(await ours());
      expect(vxlan).toEqual(dump.dumpedVxlanFdb(scenario, name));
      expect(own).toEqual(dump.dumpedOwnFdb(scenario, name));
    });

    it('has the same virtual services, and destinations in the kernel’s order', async () => {
      const mine = dump.ourServices(await ours());
      const real = dump.dumpedServices(scenario, name);
      if (dump.keepsOrder(scenario, name)) expect(mine).toEqual(real);
      else expect([...mine].sort()).toEqual([...real].sort());
    });

    it('has the sysctls that bear on a packet', async () => {
      const namespace = await ours();
      const real = dump.dumpedSysctls(scenario, name);
      // net.ipv4.vs.* matter where IPVS balances: Docker sets some of them on nodes too, where nothing reads them.
      const wanted = SYSCTLS.filter(([, key]) => !key.includes('/vs/') || balancer);
      expect(Object.fromEntries(wanted.map(([field, key]) => [key, `${namespace.get(field)}`]))).toEqual(
        Object.fromEntries(wanted.map(([, key]) => [key, real.get(key)])),
      );
    });
  });
});

it('every namespace has lo’s broadcast route, as fib_add_ifaddr makes it for 127.0.0.1/8', async () => {
  expect(dump.dumpedRoutes('S7-ingress-one', 'node1.host', 'local')).toContain(LOOPBACK_BROADCAST);
  const { namespaces } = await stood('S7-ingress-one');
  const without = [...namespaces.values()].filter(
    (namespace) => !dump.ourRoutes(namespace, 'local').includes(LOOPBACK_BROADCAST),
  );
  expect(without.map(({ name }) => name)).toEqual([]);
});

it('S6: each node’s list has the destination first that it learned last, as its first requests show', async () => {
  // README of S6-ingress: node1 used .11, .10, .9, .11 …, node2 .9, .11, .10, .9 ….
  const { namespaces } = await stood('S6-ingress');
  const list = (name: string) => {
    const namespace = namespaces.get(name);
    return namespace ? dump.ourServices(namespace) : [];
  };
  expect(list('node1/ingress_sbox')).toEqual([
    'FWM 258 rr',
    '-> 10.0.0.11:0 Masq 1',
    '-> 10.0.0.10:0 Masq 1',
    '-> 10.0.0.9:0 Masq 1',
  ]);
  expect(list('node2/ingress_sbox')).toEqual([
    'FWM 258 rr',
    '-> 10.0.0.9:0 Masq 1',
    '-> 10.0.0.11:0 Masq 1',
    '-> 10.0.0.10:0 Masq 1',
  ]);
});

import { it } from 'vitest';
import { MeshSwarm, parting, type Exchange } from './mesh-exchange.js';
import { ruleText } from './dump.js';
import { ipv4Text, macText } from '../../src/engine/wire.js';
it('explore', async () => {
  const base = await MeshSwarm.stand();
  const before = base.exchange();
  console.log(before.outcome, before.drops.join(', '), before.seen.length, before.engine.account);
  console.log(before.seen.join('\n'));
  const out: string[] = [];
  const tell = (what: string, after: Exchange, quiet = false) => {
    const p = parting(before, after);
    if (!p && quiet) return;
    out.push(`## ${what}\n   ${after.outcome}; ${after.drops.filter(d => !before.drops.includes(d)).join(', ')}\n   last ${p?.last}\n   was ${p?.was}\n   is  ${p?.is}` + `\n   client: ${after.seen.filter(s=>s.startsWith('client/host/eth0 received')).slice(0,3).map(s=>s.slice(26)).join(' | ')}`);
  };
  for (const ns of base.realized.namespaces.values()) for (const table of ['mangle','nat','filter'] as const) for (const chain of ns.iptables.chains[table].values()) for (const [i, rule] of chain.rules.entries()) {
    if (!rule.packets) continue;
    const s = await MeshSwarm.stand();
    const r = s.namespace(ns.name).iptables.chains[table].get(chain.name)!.rules[i]!;
    r.remove();
    tell(`${ns.name} ${table} ${ruleText(chain.name, rule.spec)} [${rule.packets}]`, s.exchange());
  }
  for (const ns of base.realized.namespaces.values()) for (const [i, route] of ns.routes.entries()) {
    const s = await MeshSwarm.stand();
    s.namespace(ns.name).removeRoute(s.namespace(ns.name).routes[i]!);
    tell(`${ns.name} route ${route.table} ${route.type} ${route.destination} ${route.gateway ?? ''} ${route.device.name}`, s.exchange(), true);
  }
  for (const ns of base.realized.namespaces.values()) for (const [i, n] of ns.neighbours.entries()) {
    const s = await MeshSwarm.stand();
    s.namespace(ns.name).removeNeighbour(s.namespace(ns.name).neighbours[i]!);
    tell(`${ns.name} neigh ${n.address} ${n.device.name}`, s.exchange(), true);
  }
  for (const [node, mac] of [['node1','02:42:0a:00:00:0d'],['node1','02:42:0a:00:00:0f'],['node1','02:42:0a:00:00:03'],['node2','02:42:0a:00:00:02']]) {
    const s = await MeshSwarm.stand();
    const ns = s.namespace(`${node}/ov-ingress`);
    ns.removeFdb(ns.device('vxlan0'), mac!);
    tell(`${node} fdb ${mac}`, s.exchange(), true);
  }
  for (const ns of base.realized.namespaces.values()) for (const [i, service] of ns.ipvs.services.entries()) {
    { const s = await MeshSwarm.stand();
    s.namespace(ns.name).ipvs.services[i]!.destinations[0]!.remove();
    tell(`${ns.name} dest of ${JSON.stringify(service.key)}`, s.exchange(), true); }
    { const s = await MeshSwarm.stand();
    s.namespace(ns.name).ipvs.remove(s.namespace(ns.name).ipvs.services[i]!);
    tell(`${ns.name} service ${JSON.stringify(service.key)}`, s.exchange(), true); }
  }
  console.log(out.join('\n'));
});

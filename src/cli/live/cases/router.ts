/** A plain router between two networks: client — wire — node1 — a link of MTU 1000 — far. No rules, so no conntrack. */

import type { Lab } from '../lab.js';
import { CLIENT, NODE1, type Place } from './places.js';

export const FAR: Place = { at: 'node1/far/eth0', mac: '02:00:00:00:60:02', address: '10.60.0.2' };
export const NEAR = { mac: '02:00:00:00:60:01', address: '10.60.0.1' };

export function routed(lab: Lab, mtu = 1000): Lab {
  const client = lab.namespace('client/host');
  const eth0 = lab.nic(client, 'eth0', CLIENT.mac, `${CLIENT.address}/24`);
  const router = lab.namespace('node1/host');
  lab.nic(router, 'eth0', NODE1.mac, `${NODE1.address}/24`);
  const far = lab.namespace('node1/far');
  const [near, there] = router.addVeth(
    'near',
    { mac: NEAR.mac, mtu },
    { namespace: far, name: 'eth0', mac: FAR.mac, mtu },
  );
  router.addAddress(near, `${NEAR.address}/24`);
  far.addAddress(there, `${FAR.address}/24`);
  router.set('forward', 1);
  client.addRoute('10.60.0.0/24', eth0, NODE1.address);
  far.addRoute('0.0.0.0/0', there, NEAR.address);
  return lab;
}

/**
 * The ipvlan driver: endpoints behind the one MAC of the node's NIC, told apart by their addresses. In l2 mode they are on the
 * LAN, with a router there as their gateway; in l3 and l3s mode the node routes for them, and whoever answers needs a route
 * (reference: libnetwork drivers/ipvlan/ipvlan_joinleave.go). l3s and ipvlan_flag came with Docker 23.0.
 */

import type { IpvlanFlagName, IpvlanModeName } from '../engine/index.js';
import { type Driver, DriverError } from './driver.js';
import { messageOf } from './macvlan.js';
import { closeParent, gatewayFor, openParent, parentCheck } from './parent.js';

const MODES: readonly IpvlanModeName[] = ['l2', 'l3', 'l3s'];
const FLAGS: readonly IpvlanFlagName[] = ['bridge', 'private', 'vepa'];

function isMode(value: string): value is IpvlanModeName {
  return MODES.some((mode) => mode === value);
}
function isFlag(value: string): value is IpvlanFlagName {
  return FLAGS.some((flag) => flag === value);
}

export const ipvlan: Driver = {
  name: 'ipvlan',
  scope: 'local',
  options: {
    parent: parentCheck('ipvlan'),
    ipvlan_mode: (value) =>
      value === '' || isMode(value)
        ? undefined
        : `requested ipvlan mode '${value}' is not valid, 'l2' mode is the ipvlan driver default (others: l3, l3s)`,
    ipvlan_flag: (value) =>
      value === '' || isFlag(value)
        ? undefined
        : `requested ipvlan flag '${value}' is not valid, 'bridge' is the ipvlan driver default (others: private, vepa)`,
  },

  createNetwork(at) {
    openParent('ipvlan', at);
  },

  deleteNetwork(at) {
    closeParent(at);
  },

  join({ node, network, here, sandbox, endpoint }) {
    const lower = node.host.device(here.bridge);
    const mode = network.options?.ipvlan_mode || 'l2';
    const flag = network.options?.ipvlan_flag || 'bridge';
    if (!isMode(mode)) throw new DriverError(`requested ipvlan mode '${mode}' is not valid`);
    if (!isFlag(flag)) throw new DriverError(`requested ipvlan flag '${flag}' is not valid`);
    const { namespace, spec } = sandbox;
    try {
      const device = namespace.addIpvlan(endpoint.interface, { lower, mtu: lower.mtu, mode, flag });
      if (mode !== 'l2') return { device, defaultRoute: true };
      const gateway = gatewayFor(here, endpoint.address);
      return { device, ...(gateway ? { gateway } : {}), ...(here.gateway6 ? { gateway6: here.gateway6 } : {}) };
    } catch (error) {
      throw new DriverError(`failed to create the ipvlan port of ${spec.name}: ${messageOf(error)}`);
    }
  },

  leave({ sandbox, endpoint }) {
    const device = sandbox.namespace.devices.get(endpoint.interface);
    if (device) sandbox.namespace.removeDevice(device);
  },
};

/**
 * The macvlan driver: a device of its own MAC on the node's NIC for each endpoint, on the LAN like a machine of its own. No
 * bridge, no rule, no NAT; the gateway is a router outside (reference: libnetwork drivers/macvlan/macvlan_joinleave.go).
 */

import type { MacvlanModeName } from '../engine/index.js';
import { type Driver, DriverError } from './driver.js';
import { closeParent, gatewayFor, openParent, parentCheck } from './parent.js';

const MODES: readonly MacvlanModeName[] = ['bridge', 'private', 'vepa', 'passthru'];

function isMode(value: string): value is MacvlanModeName {
  return MODES.some((mode) => mode === value);
}

export const macvlan: Driver = {
  name: 'macvlan',
  scope: 'local',
  options: {
    parent: parentCheck('macvlan'),
    macvlan_mode: (value) =>
      value === '' || isMode(value)
        ? undefined
        : `requested macvlan mode '${value}' is not valid, 'bridge' mode is the macvlan driver default (others: private, vepa, passthru)`,
  },

  createNetwork(at) {
    openParent('macvlan', at);
  },

  deleteNetwork(at) {
    closeParent(at);
  },

  join({ node, network, here, sandbox, endpoint }) {
    const lower = node.host.device(here.bridge);
    const mode = network.options?.macvlan_mode || 'bridge';
    if (!isMode(mode)) throw new DriverError(`requested macvlan mode '${mode}' is not valid`);
    const { namespace, spec } = sandbox;
    try {
      const device = namespace.addMacvlan(endpoint.interface, { lower, mac: endpoint.mac, mtu: lower.mtu, mode });
      const gateway = gatewayFor(here, endpoint.address);
      return { device, ...(gateway ? { gateway } : {}), ...(here.gateway6 ? { gateway6: here.gateway6 } : {}) };
    } catch (error) {
      throw new DriverError(`failed to create the macvlan port of ${spec.name}: ${messageOf(error)}`);
    }
  },

  leave({ sandbox, endpoint }) {
    const device = sandbox.namespace.devices.get(endpoint.interface);
    if (device) sandbox.namespace.removeDevice(device);
  },
};

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

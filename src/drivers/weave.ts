/**
 * Weave Net over its fast data path, as `weave launch` and `weave attach` have it: on each node the bridge `weave`, a veth
 * (vethwe-bridge, vethwe-datapath) to an Open vSwitch datapath, and there VXLAN on UDP 6784 to every node that it knows. All of its
 * networks are one segment; containers have addresses given by hand on `ethwe`, beside whatever else they are on (weave-router.ts;
 * docs/weave.md).
 *
 * The datapath's flows are those of a learning switch, which router/fastdp.go programs, so a bridge stands for it; one that
 * netfilter does not see. A VNI has 12 bits of the sender's short id, and above them 12 of the receiver's.
 */

import type { Network } from '../topology/topology.js';
import type { Driver, NodeContext } from './driver.js';
import {
  admit,
  BRIDGE,
  connect,
  dismiss,
  halt,
  INTERFACE,
  launch,
  MTU,
  MULTICAST,
  POOL,
  plugIn,
  portName,
  routersBeside,
  unplug,
} from './weave-router.js';

const MULTICAST_OPTION = 'works.weave.multicast';

export const weave: Driver = {
  name: 'weave',
  scope: 'local',
  pool: POOL,
  bridge: BRIDGE,
  interface: INTERFACE,
  mtu: MTU,
  options: {
    [MULTICAST_OPTION]: (value) =>
      ['', 'true', 'false'].includes(value)
        ? undefined
        : `unrecognized value "${value}" for option ${MULTICAST_OPTION}`,
    'com.docker.network.driver.mtu': (value) => (/^\d+$/.test(value) ? undefined : `invalid MTU value: ${value}`),
  },

  createNetwork({ node, network, here }) {
    if (node.host.devices.has(BRIDGE)) return;
    launch(node, here.bridgeMac, network.mtu);
    for (const other of routersBeside(node)) connect(node, other);
  },

  deleteNetwork({ node, network }) {
    if (!isUsed(node, network)) halt(node);
  },

  join({ node, network, here, sandbox, endpoint }) {
    const { namespace, spec } = sandbox;
    const first = namespace.devices.get(INTERFACE);
    const device =
      first ??
      plugIn(node.host, namespace, {
        outside: spec.id === undefined ? endpoint.peer.name : portName(spec.id),
        mac: endpoint.mac,
        peerMac: endpoint.peer.mac,
        mtu: network.mtu,
      });
    admit(namespace, device, here.subnet, endpoint.address);
    const routed = !first && network.options?.[MULTICAST_OPTION] !== 'false';
    return { device, ...(routed ? { routes: [{ destination: MULTICAST }] } : {}) };
  },

  leave({ here, sandbox, endpoint }) {
    const { namespace, spec } = sandbox;
    const device = namespace.device(INTERFACE);
    dismiss(namespace, device, here.subnet);
    if (spec.endpoints.some((other) => other !== endpoint && other.interface === INTERFACE))
      namespace.removeAddress(device, endpoint.address);
    else unplug(namespace, device);
  },
};

function isUsed({ name, topology }: NodeContext, but: Network): boolean {
  return topology.networks.some((one) => one !== but && one.driver === weave.name && one.onNode[name] !== undefined);
}

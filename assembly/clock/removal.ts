// What is taken away while the engine runs: devices and namespaces (unregister_netdevice, cleanup_net).
//
// A device goes at once for whoever looks for it: out of its bridge, out of the forwarding databases, its neighbours with it.
// Its record stays, dead, as long as an event or a waiting frame points to it: once a second, between vectors, the
// pointers of what waits are moved to its namespace's loopback and the record is given back. So with namespaces, whose
// connections and sockets go in the same round (nf_conntrack's and the sockets' own work on a dead struct net).

import { Frame } from "../frame";
import { drop, Drop } from "../drops";
import { Device, Kind, UP, giveDevice, linkDevice, unlinkDevice } from "../devices/device";
import { closeVxlan } from "../devices/vxlan";
import { closeVlan } from "../devices/vlan";
import { closeMacvlan } from "../devices/macvlan";
import { closeIpvlan } from "../devices/ipvlan";
import { Namespace, giveNamespace } from "../stack/namespace";
import { forgetNeighbour } from "../stack/neighbour";
import { removeSocketsOfTheDead, socketAt, socketSlots } from "../stack/sockets";
import { OWN, findEntry, removeEntriesOf, removeEntry } from "../tables/fdb";
import { neighbourAt, neighbourSlots, Neighbour } from "../tables/neighbours";
import { Queue, dropQueue, oldestQueue } from "../tables/reassembly";
import { forgetXfrm } from "../tables/xfrm";
import { changed } from "../tables/generation";
import { now } from "./queue";

let deadDevices: Device | null = null;
let deadNamespaces: Namespace | null = null;

/** Routes by it and rules that name it are the caller's business; a veth's other end loses its carrier. */
export function removeDevice(device: Device): void {
  if (device.dead) return;
  changed();
  device.dead = 1;
  device.flags &= ~UP;
  while (device.neighbours) forgetNeighbour(device.neighbours!);
  removeEntriesOf(device);
  if (device.master) removePort(device);
  if (<i32>device.kind == Kind.BRIDGE) {
    while (device.ports) removePort(device.ports!);
    removeEntry(device.id, device.mac);
  }
  if (<i32>device.kind == Kind.VXLAN) closeVxlan(device);
  // What stands on it goes with it (NETDEV_UNREGISTER).
  while (device.vlans) removeDevice(device.vlans!);
  while (device.uppers) removeDevice(device.uppers!);
  if (<i32>device.kind == Kind.VLAN) closeVlan(device);
  if (<i32>device.kind == Kind.MACVLAN) closeMacvlan(device);
  if (<i32>device.kind == Kind.IPVLAN) closeIpvlan(device);
  const peer = device.peer;
  if (peer) peer.peer = null;
  device.peer = null;
  unlinkDevice(device);
  device.next = deadDevices;
  deadDevices = device;
}

/** Into another namespace (dev_change_net_namespace): down, no bridge's port, its neighbours gone; routes are the caller's business. */
export function moveDevice(device: Device, namespace: Namespace): void {
  changed();
  device.flags &= ~UP;
  while (device.neighbours) forgetNeighbour(device.neighbours!);
  if (device.master) removePort(device);
  unlinkDevice(device);
  linkDevice(device, namespace);
}

/** No longer a bridge's port (br_del_if): what the bridge knew behind it is forgotten. */
export function removePort(port: Device): void {
  changed();
  const bridge = port.master!;
  removeEntriesOf(port);
  const own = findEntry(bridge.id, port.mac, now);
  if (own && own.flags & OWN && port.mac != bridge.mac) removeEntry(bridge.id, port.mac);
  if (bridge.ports == port) bridge.ports = port.nextPort;
  else {
    let at = bridge.ports;
    while (at && at.nextPort != port) at = at.nextPort;
    if (at) at.nextPort = port.nextPort;
  }
  port.nextPort = null;
  port.master = null;
  port.portNumber = 0;
}

/** Its devices but lo, its rules and its balancers have been removed. */
export function removeNamespace(namespace: Namespace): void {
  if (namespace.dead) return;
  namespace.dead = 1;
  removeDevice(namespace.loopback);
  namespace.next = deadNamespaces;
  deadNamespaces = namespace;
}

// @ts-ignore: decorator
@inline
export function anythingDead(): bool { return deadDevices != null || deadNamespaces != null; }

/** Connections of dead namespaces have gone before (clock/sweep). */
export function bury(): void {
  if (deadNamespaces) {
    removeSocketsOfTheDead();
    let queue = oldestQueue();
    while (queue) {
      const later = queue.later;
      if (queue.namespace.dead) dropQueue(queue, Drop.DEV_DOWN);
      queue = later;
    }
  }
  if (deadDevices) forgetDeadDevices();
  buryDevices();
  buryNamespaces();
}

/** Frames that wait for something name the device that they came by: now the loopback of its namespace does. */
function forgetDeadDevices(): void {
  for (let i: u32 = 0; i < neighbourSlots(); i++) {
    const at = neighbourAt(i);
    if (at) relocate(changetype<Neighbour>(at).first);
  }
  for (let i: u32 = 0; i < socketSlots(); i++) {
    const socket = socketAt(i);
    if (!socket) continue;
    relocate(socket.outOfOrder);
    relocate(socket.held);
  }
  let queue = oldestQueue();
  while (queue) {
    relocate(queue.first);
    if (queue.device && queue.device!.dead) queue.device = queue.namespace.loopback;
    queue = queue.later;
  }
}

function relocate(first: Frame | null): void {
  let frame = first;
  while (frame) {
    const device = frame.device;
    if (device && device.dead) frame.device = device.namespace.loopback;
    if (frame.port && frame.port!.dead) frame.port = null;
    if (frame.out && frame.out!.dead) frame.out = null;
    frame = frame.next;
  }
}

function buryDevices(): void {
  let waiting: Device | null = null;
  let device = deadDevices;
  while (device) {
    const next = device.next;
    // lo goes with its namespace: what is left of that may be counted there.
    if (device.pending || <i32>device.kind == Kind.LOOPBACK) {
      device.next = waiting;
      waiting = device;
    } else giveDevice(device);
    device = next;
  }
  deadDevices = waiting;
}

function buryNamespaces(): void {
  let waiting: Namespace | null = null;
  let namespace = deadNamespaces;
  while (namespace) {
    const next = namespace.next;
    if (namespace.pending || namespace.loopback.pending || namespace.connections || hasDead(namespace)) {
      namespace.next = waiting;
      waiting = namespace;
    } else {
      forgetXfrm(namespace);
      giveLoopback(namespace.loopback);
      giveNamespace(namespace);
    }
    namespace = next;
  }
  deadNamespaces = waiting;
}

/** Has it dead devices other than lo that cannot go yet? */
function hasDead(namespace: Namespace): bool {
  let device = deadDevices;
  while (device) {
    if (device.namespace == namespace && device != namespace.loopback) return true;
    device = device.next;
  }
  return false;
}

function giveLoopback(loopback: Device): void {
  let before: Device | null = null;
  let device = deadDevices;
  while (device && device != loopback) {
    before = device;
    device = device.next;
  }
  if (!device) return;
  if (before) before.next = device.next;
  else deadDevices = device.next;
  giveDevice(device);
}

// A network device, whatever its kind (struct net_device), and the two ways through it: `transmit` (dev_queue_xmit)
// and `receive` (netif_receive_skb). Kinds are told apart by a switch; each has a file beside this one.

import { arena, Pool } from "../memory";
import { CT_UNTRACKED, Frame, SOCKET_HASH, SURVEY } from "../frame";
import { drop, Drop } from "../drops";
import { Namespace } from "../stack/namespace";
import { Entry } from "../tables/fdb";
import { Neighbour } from "../tables/neighbours";
import { Event, joins, schedule, waits } from "../clock/queue";
import { InterfaceAddress, removeAddress6 } from "../tables/interfaces6";
import { tap } from "../capture/tap";
import { bridgeReceive, bridgeTransmit } from "./bridge";
import { Tunnel, vxlanTransmit } from "./vxlan";
import { physicalTransmit } from "./physical";
import { Denial, allowAll } from "./denials";
import { vlanReceive, vlanTransmit } from "./vlan";
import { macvlanReceive, macvlanTransmit } from "./macvlan";
import { ipvlanReceive, ipvlanTransmit } from "./ipvlan";
import * as vlan from "../wire/vlan";
import * as ethernet from "../wire/ethernet";
import { stackReceive } from "../stack/input";
import { changed } from "../tables/generation";
import { counted, forget, recording } from "../flowtable/recorder";
import { varies } from "../flowtable/precedent-recorder";
import { Entered, enter } from "../flowtable/forward";

export enum Kind { LOOPBACK, VETH, BRIDGE, VXLAN, PHYSICAL, VLAN, MACVLAN, IPVLAN, DUMMY }

// Device.flags
export const UP: u32 = 1;
/** Bridge ports, and a segment's: frames go back out of the port they came by. */
export const HAIRPIN: u32 = 2;
/** vxlan: answer ARP from the neighbour table, never let it into the tunnel. */
export const VXLAN_PROXY: u32 = 4;
/** vxlan: learn remote MACs; bridge port: learn local ones. */
export const LEARNING: u32 = 8;
/** No neighbour is asked for, and none is answered (IFF_NOARP): frames go to the device's own MAC. */
export const NOARP: u32 = 16;
/** vxlan: its VTEPs have IPv6 addresses (VXLAN_F_IPV6). */
export const VXLAN_IPV6: u32 = 32;
/** vxlan: it has tunnels, and no VNI of its own. */
export const VXLAN_TUNNELS: u32 = 64;
/** bridge: its frames pass no hook, whatever the namespace has. */
export const UNFILTERED: u32 = 128;
/** bridge: what it forwards goes up to its own stack as well (IFF_PROMISC). A tap alone looks on. */
export const PROMISCUOUS: u32 = 1 << 10;

// Device.handlers: what stands on it and takes frames before its own namespace does
export const VLANS: u32 = 1;
export const MACVLANS: u32 = 2;
export const IPVLANS: u32 = 4;

/** A frame crosses this many devices at the most: a loop of bridges ends. */
const MAX_HOPS: u32 = 128;

@unmanaged
export class Device {
  id: u32;
  kind: u8;
  /** 1 + the capture interface, or 0: not captured. */
  tap: u32;
  flags: u32;
  namespace: Namespace;
  /** Devices of the namespace, in the order they were made. */
  next: Device | null;
  previous: Device | null;
  /** Taken away: frames that still come end here. Its record goes back once nothing points to it (clock/removal). */
  dead: u8;
  /** Events in the queue that name it. */
  pending: u32;
  /** Its neighbours, and the forwarding entries that lead to it. */
  neighbours: Neighbour | null;
  entries: Entry | null;
  mac: u64;
  mtu: u32;
  /** veth: the other end. */
  peer: Device | null;
  /** The bridge that it is a port of. */
  master: Device | null;
  /** bridge: its first port; a port: the next one, in order of joining. */
  ports: Device | null;
  nextPort: Device | null;
  portNumber: u32;
  /** vxlan: network identifier, UDP port (network byte order), the namespace that its socket lives in. */
  vni: u32;
  vxlanPort: u32;
  underlay: Namespace | null;
  tunnels: Tunnel | null;
  /** physical: the segment that it is plugged into. */
  segment: usize;
  segmentNext: Device | null;
  /** physical: what its segment does not bring to it. */
  denials: Denial | null;
  routeLocalnet: u8;
  /** macvlan: MacvlanMode. As the lower device of ipvlans: their IpvlanMode and IpvlanFlag. */
  mode: u8;
  portMode: u8;
  portFlags: u8;
  /** vlan, macvlan, ipvlan: the device below; as one that stands below: the first of each, linked. */
  lower: Device | null;
  vlans: Device | null;
  nextVlan: Device | null;
  uppers: Device | null;
  nextUpper: Device | null;
  vid: u32;
  handlers: u32;
  /** First address, for source selection, and counters as `ip -s link` has them. */
  address: u32;
  rxPackets: u64;
  rxBytes: u64;
  txPackets: u64;
  txBytes: u64;
  /** u32 a drop reason. */
  drops: usize;
  /** net.ipv6.conf.DEVICE.disable_ipv6 is 0. */
  ipv6: u8;
  /** Its IPv6 addresses, in the kernel's order. */
  addresses6: InterfaceAddress | null;
  /** Router solicitations: how many were sent, and the time to the next, ns (stack/start6). */
  solicitations: u32;
  solicitEvery: u64;
}

/** Between two vectors no more frames than this are sent: a broadcast storm ends, too. */
const STORM: u32 = 1 << 18;
let transmissions: u32 = 0;
/** May the frame cross `more` devices, as `transmit` has it? */
// @ts-ignore: decorator
@inline
export function mayCross(frame: Frame, more: u32): bool { return <i32>((MAX_HOPS - frame.hops - more) | (STORM - transmissions - more)) >= 0; }
// @ts-ignore: decorator
@inline
export function cross(frame: Frame, more: u32): void {
  frame.hops += more;
  transmissions += more;
}
export function calm(): void { transmissions = 0; }

/** A record and its drop counters, a multiple of a cache line. */
const SIZE: usize = (offsetof<Device>() + (<usize>Drop.REASONS << 2) + 63) & ~63;
const devices = new Pool(SIZE, 64);
let lastId: u32 = 0;

/** Virtual time that a frame needs from one device to the next, ns. */
export let hopDelay: u64 = 1000;
export function setHopDelay(ns: u64): void {
  changed();
  hopDelay = ns;
}

export function newDevice(namespace: Namespace, kind: Kind): Device {
  devices.ensure(1);
  const at = devices.take(SIZE);
  const device = changetype<Device>(at);
  // An id is never used twice.
  device.id = ++lastId;
  device.kind = <u8>kind;
  device.flags = UP | LEARNING;
  device.drops = at + offsetof<Device>();
  linkDevice(device, namespace);
  return device;
}

/** The last one of the namespace. */
export function linkDevice(device: Device, namespace: Namespace): void {
  device.namespace = namespace;
  const last = namespace.lastDevice;
  device.previous = last;
  if (last) last.next = device;
  else namespace.devices = device;
  namespace.lastDevice = device;
}

export function unlinkDevice(device: Device): void {
  const namespace = device.namespace;
  const next = device.next;
  const previous = device.previous;
  if (next) next.previous = previous;
  else namespace.lastDevice = previous;
  if (previous) previous.next = next;
  else namespace.devices = next;
  device.previous = null;
  device.next = null;
}

/** Frames that ended at devices which were taken away already, u32 a drop reason. */
const late = arena(<usize>Drop.REASONS << 2);
export function lateDrops(): usize { return late; }

/** Only when nothing points to it any more. */
export function giveDevice(device: Device): void {
  allowAll(device);
  while (device.addresses6) removeAddress6(device, device.addresses6!);
  for (let i: usize = 0; i < <usize>Drop.REASONS << 2; i += 4) store<u32>(late + i, load<u32>(late + i) + load<u32>(device.drops + i));
  devices.give(changetype<usize>(device));
}
export function liveDevices(): u32 { return devices.used; }

/** A frame arrives at the device at `time`: in one vector with those that were sent there just before, to arrive then. */
// @ts-ignore: decorator
@inline
export function arriveAt(device: Device, frame: Frame, time: u64): void {
  if (joins(time, changetype<usize>(device), changetype<usize>(frame))) return;
  scheduleAt(device, Event.FRAMES, frame, time);
  waits(time, changetype<usize>(device), changetype<usize>(frame));
}

/** A vector of frames arrives at the device, or (TRANSMIT) a frame leaves by it, at `time`. */
export function scheduleAt(device: Device, kind: Event, frame: Frame, time: u64): void {
  device.pending++;
  schedule(time, kind, changetype<usize>(device), changetype<usize>(frame));
}

/** What dev_queue_xmit does: the tap sees it, then the kind's own way out. `frame.data` is the Ethernet header. */
export function transmit(device: Device, frame: Frame): void {
  frame.time += hopDelay;
  if (!(device.flags & UP)) return drop(frame, Drop.DEV_DOWN, device);
  if (++frame.hops > MAX_HOPS || ++transmissions > STORM) return drop(frame, Drop.LOOP, device);
  device.txPackets++;
  device.txBytes += frame.length;
  if (recording) counted(frame, changetype<usize>(device) + offsetof<Device>("txPackets"), frame.length);
  if (device.tap) tap(device, frame, false);
  switch (<i32>device.kind) {
    case Kind.VETH: {
      const peer = device.peer;
      if (!peer) return drop(frame, Drop.NO_CARRIER, device);
      scrub(frame);
      return receive(peer, frame);
    }
    case Kind.BRIDGE: return bridgeTransmit(device, frame);
    case Kind.VXLAN: return vxlanTransmit(device, frame);
    case Kind.PHYSICAL: scrub(frame); return physicalTransmit(device, frame);
    case Kind.VLAN: return vlanTransmit(device, frame);
    case Kind.MACVLAN: return macvlanTransmit(device, frame);
    case Kind.IPVLAN:
      if (recording) varies();
      return ipvlanTransmit(device, frame);
    case Kind.DUMMY: return drop(frame, Drop.DUMMY, device);
    default: forget(frame); scrubHash(frame); return receive(device, frame);
  }
}

/** A frame comes in: by the flow table, if its flow is there; else the slow way, which may be recorded for the next. */
export function receive(device: Device, frame: Frame): void { receiveHere(device, frame); }
/** The same where a call would cost. */
// @ts-ignore: decorator
@inline
export function receiveHere(device: Device, frame: Frame): void {
  switch (recording ? Entered.SLOW : enter(device, frame)) {
    case Entered.DONE: return;
    case Entered.RECORDED:
      slowPackets++;
      comeIn(device, frame);
      return forget(frame);
    default:
      slowPackets++;
      comeIn(device, frame);
  }
}
/** Grows with each frame that took the slow way at some device: tables may want topping up. */
export let slowPackets: u32 = 0;
/** So does a packet on a shorter way that has made records. */
export function tablesUsed(): void { slowPackets++; }

/** What a driver does with a frame that came in: it is counted, then netif_receive_skb. */
function comeIn(device: Device, frame: Frame): void {
  frame.sum = 0;
  frame.hint = 0;
  if (device.flags & UP) {
    device.rxPackets++;
    device.rxBytes += frame.length;
    if (recording) counted(frame, changetype<usize>(device) + offsetof<Device>("rxPackets"), frame.length);
  }
  arrive(device, frame);
}

/** What netif_receive_skb does: the tap, then the devices that stand on it, the bridge that it is a port of, or the stack. */
export function arrive(device: Device, frame: Frame): void {
  frame.time += hopDelay;
  frame.device = device;
  if (!(device.flags & UP)) return drop(frame, Drop.DEV_DOWN, device);
  if (device.tap) tap(device, frame, true);
  if (frame.length < 14) return drop(frame, Drop.PKT_TOO_SMALL, device);
  if (device.handlers && handled(device, frame)) return;
  if (device.master) return bridgeReceive(device, frame);
  stackReceive(device, frame);
}

/** VLANs first, then the one handler that a device has (rx_handler). */
function handled(device: Device, frame: Frame): bool {
  const handlers = <u32>device.handlers;
  if (handlers & VLANS && vlan.isTag(ethernet.type(frame.data)) && vlanReceive(device, frame)) return true;
  if (handlers & MACVLANS) return macvlanReceive(device, frame);
  if (!(handlers & IPVLANS)) return false;
  if (recording) varies();
  return ipvlanReceive(device, frame);
}

/** Into another namespace: its conntrack and marks start anew (skb_scrub_packet). The socket's hash stays. */
export function scrub(frame: Frame): void {
  frame.connection = null;
  frame.connectionInfo = CT_UNTRACKED;
  frame.mark = 0;
  frame.flags &= SOCKET_HASH | SURVEY;
  frame.port = null;
  frame.out = null;
}
function scrubHash(frame: Frame): void {
  frame.port = null;
  frame.out = null;
  frame.flags &= ~2;
}

// vxlan devices (drivers/net/vxlan/vxlan_core.c; RFC 7348): frames into UDP towards the VTEP that the forwarding database
// names for their MAC, headers pushed into the frame's own headroom. What it answers itself is in vxlan-proxy.ts and tunnel-mtu.ts.
//
// A device speaks IPv4 or IPv6 to all of its VTEPs (VXLAN_F_IPV6); those of IPv6 stand in the database by their numbers.
//
// A device without a VNI of its own (VXLAN_F_COLLECT_METADATA, as Open vSwitch has them) has tunnels instead: to each VTEP with a VNI
// for each direction. What it knows no VTEP for goes to all of them, and what comes back it learns from. Such packets have DF and no
// checksum, which is their user's wish (OVS_TUNNEL_KEY_ATTR_DONT_FRAGMENT, no OVS_TUNNEL_KEY_ATTR_CSUM).

import { Pool } from "../memory";
import { CT_UNTRACKED, Frame, SOCKET_HASH, WHOLE, cloneFrame, expandHeadroom, pull, push } from "../frame";
import { drop, Drop } from "../drops";
import { Device, LEARNING, VXLAN_IPV6, VXLAN_PROXY, VXLAN_TUNNELS, receive, scrub } from "./device";
import { Namespace } from "../stack/namespace";
import { sourcePort } from "./flow-hash";
import { refuse } from "./tunnel-mtu";
import { proxied } from "./vxlan-proxy";
import * as ecn from "../wire/ecn";
import * as ethernet from "../wire/ethernet";
import * as ipv4 from "../wire/ipv4";
import * as ipv6 from "../wire/ipv6";
import * as udp from "../wire/udp";
import * as vxlan from "../wire/vxlan";
import { Index } from "../tables/hash";
import { STATIC, findEntry, learn } from "../tables/fdb";
import { keepAt } from "../tables/addresses6";
import { decapsulated, encapsulated, fitted, forget, recording } from "../flowtable/recorder";
import { idBucket, nextId, output, pathMtu, sourceFor } from "../stack/output";
import { HOP_LIMIT, output6, pathMtu6, sourceFor6 } from "../stack/output6";
import { note, Note, NoteFamily } from "../capture/tap";

const OUTER: u32 = ipv4.LENGTH + udp.LENGTH + vxlan.LENGTH;
const OUTER6: u32 = ipv6.LENGTH + udp.LENGTH + vxlan.LENGTH;
const TTL: u32 = 64;

/** Which device listens for a VNI on a UDP port of a namespace. Key: a = VNI | port << 32, b = namespace | family << 32. */
@unmanaged
class Listener {
  keyA: u64;
  keyB: u64;
  device: Device;
  /** Devices that it stands for. */
  devices: u32;
}
/** To one VTEP. */
@unmanaged
export class Tunnel {
  next: Tunnel | null;
  remote: u32;
  vniOut: u32;
  vniIn: u32;
}
const tunnels = new Pool(offsetof<Tunnel>(), 16);

const listeners = new Index(64);
const pool = new Pool(offsetof<Listener>(), 64);

export function openVxlan(device: Device, underlay: Namespace, vni: u32, port: u32, v6: bool): void {
  device.vni = vni;
  device.vxlanPort = port;
  device.underlay = underlay;
  if (v6) device.flags |= VXLAN_IPV6;
  listen(device, underlay, ANY_VNI, port);
  listen(device, underlay, vni, port);
  underlay.vxlans++;
}

/** A device that is given tunnels. */
export function openTunnels(device: Device, underlay: Namespace, port: u32): void {
  device.vxlanPort = port;
  device.underlay = underlay;
  device.flags |= VXLAN_TUNNELS;
  listen(device, underlay, ANY_VNI, port);
  underlay.vxlans++;
}

export function addTunnel(device: Device, remote: u32, vniOut: u32, vniIn: u32): void {
  tunnels.ensure(1);
  const tunnel = changetype<Tunnel>(tunnels.take(offsetof<Tunnel>()));
  tunnel.remote = remote;
  tunnel.vniOut = vniOut;
  tunnel.vniIn = vniIn;
  tunnel.next = device.tunnels;
  device.tunnels = tunnel;
  listen(device, device.underlay!, vniIn, device.vxlanPort);
}

export function removeTunnel(device: Device, remote: u32): void {
  let before: Tunnel | null = null;
  let tunnel = device.tunnels;
  while (tunnel && tunnel.remote != remote) {
    before = tunnel;
    tunnel = tunnel.next;
  }
  if (!tunnel) return;
  if (before) before.next = tunnel.next;
  else device.tunnels = tunnel.next;
  unlisten(placeOf(device.underlay!, false), tunnel.vniIn, device.vxlanPort);
  tunnels.give(changetype<usize>(tunnel));
}

// @ts-ignore: decorator
@inline
function placeOf(namespace: Namespace, v6: bool): u64 { return <u64>namespace.id | (<u64>v6 << 32); }

function listen(device: Device, underlay: Namespace, vni: u32, port: u32): void {
  listeners.ensure(1);
  pool.ensure(1);
  const place = placeOf(underlay, (device.flags & VXLAN_IPV6) != 0);
  const known = listeners.find(<u64>vni | (<u64>port << 32), place);
  const listener = changetype<Listener>(known ? known : pool.take(offsetof<Listener>()));
  listener.keyA = <u64>vni | (<u64>port << 32);
  listener.keyB = place;
  listener.devices++;
  if (known) return;
  listener.device = device;
  listeners.insert(changetype<usize>(listener));
}

/** The device goes: its VNI is unknown from now on, and its port closed when it was the last one there. */
export function closeVxlan(device: Device): void {
  const underlay = device.underlay;
  if (!underlay) return;
  const place = placeOf(underlay, (device.flags & VXLAN_IPV6) != 0);
  unlisten(place, ANY_VNI, device.vxlanPort);
  if (!(device.flags & VXLAN_TUNNELS)) unlisten(place, device.vni, device.vxlanPort);
  while (device.tunnels) removeTunnel(device, device.tunnels!.remote);
  underlay.vxlans--;
  device.underlay = null;
}

function unlisten(place: u64, vni: u32, port: u32): void {
  const at = listeners.find(<u64>vni | (<u64>port << 32), place);
  if (!at || --changetype<Listener>(at).devices) return;
  listeners.remove(at);
  pool.give(at);
}

/** vxlan_xmit. */
export function vxlanTransmit(device: Device, frame: Frame): void {
  const at = frame.data;
  if (device.flags & VXLAN_PROXY && proxied(device, frame)) return;
  const entry = findEntry(device.id, ethernet.destination(at), frame.time);
  if (device.flags & VXLAN_TUNNELS) return transmitByTunnel(device, frame, entry ? entry.remote : 0);
  if (!entry || !entry.remote) return drop(frame, Drop.VXLAN_NO_REMOTE, device);
  encapsulate(device, frame, entry.remote, device.vni);
}

/** By the tunnel to `remote`, or with 0 by all: the last takes the frame itself. */
function transmitByTunnel(device: Device, frame: Frame, remote: u32): void {
  forget(frame);
  let last: Tunnel | null = null;
  let tunnel = device.tunnels;
  while (tunnel) {
    if (!remote || tunnel.remote == remote) {
      if (last) {
        const copy = cloneFrame(frame);
        if (copy) encapsulate(device, copy, last.remote, last.vniOut);
      }
      last = tunnel;
    }
    tunnel = tunnel.next;
  }
  if (last) encapsulate(device, frame, last.remote, last.vniOut);
  else drop(frame, Drop.VXLAN_NO_REMOTE, device);
}

function encapsulate(device: Device, frame: Frame, remote: u32, vni: u32): void {
  const underlay = device.underlay!;
  const v6 = (device.flags & VXLAN_IPV6) != 0;
  const outer = v6 ? OUTER6 : OUTER;
  const source = v6 ? sourceFor6(underlay, remote, null) : sourceFor(underlay, remote);
  if (!source) return drop(frame, Drop.IP_OUT_NO_ROUTE, device);
  const mtu = v6 ? pathMtu6(underlay, remote, frame.time) : pathMtu(underlay, remote);
  if (recording) fitted(frame, frame.length + outer, mtu);
  if (device.master && frame.length + outer > mtu && refuse(device, frame, mtu - outer - ethernet.LENGTH)) return;
  if (!expandHeadroom(frame, outer + ethernet.LENGTH)) return drop(frame, Drop.NOMEM, device);
  const inner = frame.data;
  const port = sourcePort(frame);
  const mark = ecn.encapsulated(inner, frame.length);
  const ip = push(frame, outer);
  const length = frame.length;
  const l4 = inner - vxlan.LENGTH - udp.LENGTH;
  const datagram = length - (outer - vxlan.LENGTH - udp.LENGTH);
  const byTunnel = (device.flags & VXLAN_TUNNELS) != 0;
  vxlan.emit(l4 + udp.LENGTH, vni);
  udp.emit(l4, port, device.vxlanPort, datagram);
  if (v6) {
    udp.seal6(l4, datagram, source, remote);
    ipv6.emit(ip, mark, 0, datagram, ipv4.UDP, HOP_LIMIT, source, remote);
    forget(frame);
  } else {
    if (!byTunnel) udp.seal(l4, datagram, source, remote);
    ipv4.emit(ip, mark, length, nextId(underlay, source, remote, ipv4.UDP), byTunnel ? ipv4.DF : 0, TTL, ipv4.UDP, source, remote);
    if (recording) encapsulated(frame, idBucket(underlay, source, remote, ipv4.UDP));
  }
  scrub(frame);
  frame.fragmentMax = 0;
  frame.connectionInfo = CT_UNTRACKED;
  note(frame, v6 ? Note.ENCAPSULATE | NoteFamily.V6 : Note.ENCAPSULATE, vni, source, port, remote, device.vxlanPort, device);
  if (!v6) return output(underlay, frame);
  // A tunnel's packet is never cut by its sender over IPv6 (ip6_fragment: ignore_df is 0).
  frame.flags |= WHOLE;
  output6(underlay, frame, null);
}

/**
 * A UDP packet for this namespace, its UDP header `header` bytes behind the IP header: is it for one of its vxlan devices?
 * Then it has been taken (vxlan_rcv).
 */
export function vxlanReceive(namespace: Namespace, frame: Frame, header: u32, v6: bool): bool {
  const ip = frame.data;
  const l4 = ip + header;
  if (frame.length < header + udp.LENGTH) return false;
  const port = udp.destination(l4);
  const here = placeOf(namespace, v6);
  // No device on this port at all: an ordinary socket's business.
  if (!listeners.find(<u64>ANY_VNI | (<u64>port << 32), here)) return false;
  const place = frame.device;
  const length = udp.length(l4);
  if (length < udp.LENGTH || length > frame.length - header) {
    drop(frame, Drop.PKT_TOO_SMALL, place);
    return true;
  }
  if (!(v6 ? udp.checksumOk6(l4, length, ip) : udp.checksumOk(l4, length, ipv4.source(ip), ipv4.destination(ip)))) {
    drop(frame, Drop.UDP_CSUM, place);
    return true;
  }
  const at = l4 + udp.LENGTH;
  if (length < udp.LENGTH + vxlan.LENGTH + ethernet.LENGTH || !vxlan.hasVni(at) || load<u32>(at) != 0x08 || load<u8>(at, 7)) {
    drop(frame, Drop.VXLAN_INVALID_HDR, place);
    return true;
  }
  const found = listeners.find(<u64>vxlan.vni(at) | (<u64>port << 32), here);
  if (!found) {
    drop(frame, Drop.VXLAN_VNI_NOT_FOUND, place);
    return true;
  }
  const device = changetype<Listener>(found).device;
  const vni = vxlan.vni(at);
  if (device.flags & VXLAN_TUNNELS) forget(frame);
  const mark = v6 ? ipv6.ecn(ip) : ipv4.tos(ip) & 3;
  const remote = v6 ? keepAt(ip + ipv6.AT_SOURCE) : ipv4.source(ip);
  const time = frame.time;
  frame.length = header + length;
  pull(frame, header + udp.LENGTH + vxlan.LENGTH);
  const mac = ethernet.source(frame.data);
  if (mac == device.mac || ethernet.isGroup(mac) || !mac) {
    drop(frame, Drop.MAC_INVALID_SOURCE, device);
    return true;
  }
  if (device.flags & LEARNING) {
    // A permanent entry that names another VTEP: the frame goes, silently in Linux (vxlan_snoop).
    const known = findEntry(device.id, mac, time);
    if (known && known.flags & STATIC && known.remote != remote) {
      drop(frame, Drop.VXLAN_ENTRY_EXISTS, device);
      return true;
    }
    learn(device.id, mac, device, remote, time);
  }
  const type = ethernet.type(frame.data);
  const least = type == ethernet.TYPE_IPV4 ? ipv4.LENGTH : type == ethernet.TYPE_IPV6 ? ipv6.LENGTH : 0;
  if (frame.length < ethernet.LENGTH + least) {
    drop(frame, Drop.PKT_TOO_SMALL, device);
    return true;
  }
  if (!ecn.decapsulated(frame.data, mark)) {
    drop(frame, Drop.IP_TUNNEL_ECN, device);
    return true;
  }
  if (v6) forget(frame);
  else if (recording) decapsulated(frame);
  scrub(frame);
  frame.flags &= ~SOCKET_HASH;
  frame.fragmentMax = 0;
  note(frame, v6 ? Note.DECAPSULATE | NoteFamily.V6 : Note.DECAPSULATE, vni, remote, 0, 0, 0, device);
  receive(device, frame);
  return true;
}

/** The first device on a port stands for it, under a VNI that no frame can carry. */
const ANY_VNI: u32 = 0x1000000;

// A vxlan device with `proxy` answers for the neighbours that it knows, as if they had answered themselves, and lets neither ARP nor
// neighbour solicitations into the tunnel (drivers/net/vxlan/vxlan_core.c: arp_reduce, neigh_reduce).

import { Frame, takeFrame } from "../frame";
import { account, deliver, drop, Drop } from "../drops";
import { Device, receive } from "./device";
import * as arp from "../wire/arp";
import * as ethernet from "../wire/ethernet";
import * as icmpv6 from "../wire/icmpv6";
import * as ipv4 from "../wire/ipv4";
import * as ipv6 from "../wire/ipv6";
import * as ndp from "../wire/ndp";
import { numberAt } from "../tables/addresses6";
import { findEntry } from "../tables/fdb";
import { Neighbour, Nud, findNeighbour, findNeighbour6 } from "../tables/neighbours";
import { note, Note, NoteFamily } from "../capture/tap";

/** Was it a question about a neighbour? Then the frame has been taken. */
export function proxied(device: Device, frame: Frame): bool {
  const type = ethernet.type(frame.data);
  if (type == ethernet.TYPE_ARP) answerArp(device, frame);
  else if (type == ethernet.TYPE_IPV6 && isSolicitation(frame)) answerSolicitation(device, frame);
  else return false;
  return true;
}

function answerArp(device: Device, frame: Frame): void {
  const at = frame.data + ethernet.LENGTH;
  if (!arp.valid(at, frame.length - ethernet.LENGTH) || arp.operation(at) != arp.REQUEST) return drop(frame, Drop.VXLAN_ARP_SWALLOWED, device);
  const target = arp.targetAddress(at);
  const mac = macOf(device, findNeighbour(device, target), frame.time);
  if (!mac) return drop(frame, Drop.VXLAN_ARP_SWALLOWED, device);
  const senderMac = arp.senderMac(at);
  const reply = takeFrame(ethernet.LENGTH + arp.LENGTH);
  if (!reply) return drop(frame, Drop.NOMEM, device);
  ethernet.emit(reply.data, senderMac, mac, ethernet.TYPE_ARP);
  arp.emit(reply.data + ethernet.LENGTH, arp.REPLY, mac, target, senderMac, arp.senderAddress(at));
  note(reply, Note.PROXY_ARP, device.vni, 0, 0, target, 0, device);
  answer(device, frame, reply);
}

/** 0: it is not known for sure, or on this side of the tunnel, and answers itself. */
function macOf(device: Device, neighbour: Neighbour | null, time: u64): u64 {
  if (!neighbour || neighbour.state != <u8>Nud.PERMANENT) return 0;
  const entry = findEntry(device.id, neighbour.mac, time);
  return entry && !entry.remote ? 0 : neighbour.mac;
}

/** Directly behind the IPv6 header, and with a whole target. Neither hop limit nor checksum matters. */
function isSolicitation(frame: Frame): bool {
  const ip = frame.data + ethernet.LENGTH;
  if (frame.length < ethernet.LENGTH + ipv6.LENGTH + ndp.LENGTH || ipv6.nextHeader(ip) != ipv6.ICMP) return false;
  const l4 = ip + ipv6.LENGTH;
  return icmpv6.type(l4) == icmpv6.NEIGHBOUR_SOLICITATION && !icmpv6.code(l4);
}

/** vxlan_na_create: to whoever asked, the unspecified address too; hop limit 255, solicited, override, our MAC of it. */
function answerSolicitation(device: Device, frame: Frame): void {
  const ip = frame.data + ethernet.LENGTH;
  const l4 = ip + ipv6.LENGTH;
  const target = l4 + ndp.AT_TARGET;
  const asker = ip + ipv6.AT_SOURCE;
  const number = numberAt(target);
  const neighbour = number && !ipv6.isLoopback(ip + ipv6.AT_DESTINATION) && !ipv6.isMulticast(target) ? findNeighbour6(device, number) : null;
  const to = askerMac(frame);
  const mac = macOf(device, neighbour, frame.time);
  if (!mac || !to) return drop(frame, Drop.VXLAN_ND_SWALLOWED, device);
  const length = ndp.LENGTH + ndp.OPTION_LENGTH;
  const reply = takeFrame(ethernet.LENGTH + ipv6.LENGTH + length);
  if (!reply) return drop(frame, Drop.NOMEM, device);
  ethernet.emit(reply.data, to, mac, ethernet.TYPE_IPV6);
  const at = reply.data + ethernet.LENGTH + ipv6.LENGTH;
  ndp.emit(at, icmpv6.NEIGHBOUR_ADVERTISEMENT, ndp.SOLICITED | ndp.OVERRIDE, target);
  ndp.emitOption(at + ndp.LENGTH, ndp.TARGET_LINK, mac);
  // Of the traffic class the upper half alone is copied (ipv6hdr.priority).
  ipv6.emit(reply.data + ethernet.LENGTH, ipv6.trafficClass(ip) & 0xf0, 0, length, ipv6.ICMP, 255, target, asker);
  icmpv6.seal(at, length, target, asker);
  note(reply, Note.PROXY_ARP | NoteFamily.V6, device.vni, 0, 0, number, 0, device);
  answer(device, frame, reply);
}

/** The MAC that the solicitation gives, or else that of its frame; 0: an option has no length. */
function askerMac(frame: Frame): u64 {
  const end = frame.data + frame.length;
  let at = frame.data + ethernet.LENGTH + ipv6.LENGTH + ndp.LENGTH;
  while (at + 1 < end) {
    const size = <usize>load<u8>(at, 1) << 3;
    if (!size) return 0;
    if (load<u8>(at) == <u8>ndp.SOURCE_LINK) return ndp.mac(at);
    at += size;
  }
  return ethernet.source(frame.data);
}

function answer(device: Device, frame: Frame, reply: Frame): void {
  account.generated++;
  reply.time = frame.time;
  deliver(frame);
  receive(device, reply);
}

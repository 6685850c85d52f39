// IPsec in a packet's way (net/xfrm/xfrm_output.c, xfrm_input.c; net/ipv4/esp4.c, net/ipv6/esp6.c): ESP in transport mode,
// over IPv4 and over IPv6 alike. Behind an IPv6 header without extension headers, that is: tunnels make no others.
//
// Out: POSTROUTING has seen the packet in clear; a policy that matches sends it through an association, and what comes out
// passes OUTPUT and POSTROUTING once more (xfrm_output_resume). In: INPUT has seen the ESP packet; what was in it enters
// again at PREROUTING (xfrm4_transport_finish), and carries its security path, which `-m policy` asks for.
//
// Sequence numbers are given in the order of virtual time: a packet waits for its turn in the queue first.

import { Frame, SECPATH, TRANSFORMED, copyToLarger, expandHeadroom } from "../frame";
import { drop, Drop } from "../drops";
import { Device } from "../devices/device";
import { Namespace } from "../stack/namespace";
import * as esp from "../wire/esp";
import * as ethernet from "../wire/ethernet";
import * as ipv4 from "../wire/ipv4";
import * as ipv6 from "../wire/ipv6";
import { destinationAt, numberAt, sourceAt } from "../tables/addresses6";
import { Association, Policy, XfrmStat, count, findAssociation, findPolicy, release, stateFor, use } from "../tables/xfrm";
import { CipherWork, cipher } from "../stack/ciphers";
import { Event, gather, now } from "../clock/queue";
import { resetConntrack } from "./conntrack";
import { note, Note, NoteFamily } from "../capture/tap";
import { outputTransformed6 } from "../stack/output6";
import { receiveTransformed6 } from "../stack/input6";
import { openedIn, sealedOut } from "../flowtable/esp";
import { endsAtCipher, recording } from "../flowtable/recorder";
import { Way } from "../flowtable/track";
import { dependsOnOthers } from "../load/ways";

/** The policy that this packet of the namespace's own meets, or null. */
export function outboundPolicy(namespace: Namespace, frame: Frame): Policy | null {
  if (!namespace.policies || frame.flags & TRANSFORMED) return null;
  const ip = frame.data;
  const header = ipv4.headerLength(ip);
  const protocol = ipv4.protocol(ip);
  let port: u32 = 0;
  const whole = (ipv4.flagsAndOffset(ip) & ipv4.OFFSET) == 0;
  if ((protocol == ipv4.UDP || protocol == ipv4.TCP) && whole && frame.length >= header + 4) port = load<u16>(ip + header, 2);
  return findPolicy(namespace, false, ipv4.source(ip), ipv4.destination(ip), protocol, port, frame.mark);
}

/** The same for an IPv6 packet. */
export function outboundPolicy6(namespace: Namespace, frame: Frame): Policy | null {
  if (!namespace.policies || frame.flags & TRANSFORMED) return null;
  const ip = frame.data;
  const protocol = ipv6.nextHeader(ip);
  const ports = (protocol == ipv4.UDP || protocol == ipv4.TCP) && frame.length >= ipv6.LENGTH + 4;
  const source = numberAt(ip + ipv6.AT_SOURCE);
  const destination = numberAt(ip + ipv6.AT_DESTINATION);
  if (!source || !destination) return null;
  return findPolicy(namespace, true, source, destination, protocol, ports ? load<u16>(ip + ipv6.LENGTH, 2) : 0, frame.mark);
}

// --- What differs by family ---

function isV6(frame: Frame): bool { return ipv6.version(frame.data) == 6; }
/** Of the IP header at `ip`. */
function headerLength(ip: usize, v6: bool): u32 { return v6 ? ipv6.LENGTH : ipv4.headerLength(ip); }
/** The packet at `ip` has another length and carries another protocol now. */
function carry(ip: usize, v6: bool, length: u32, protocol: u32): void {
  if (v6) {
    ipv6.setPayloadLength(ip, length - ipv6.LENGTH);
    ipv6.setNextHeader(ip, protocol);
    return;
  }
  store<u16>(ip, bswap<u16>(<u16>length), ipv4.AT_LENGTH);
  store<u8>(ip, <u8>protocol, 9);
  ipv4.seal(ip);
}
function protocolOf(ip: usize, v6: bool): u32 { return v6 ? ipv6.nextHeader(ip) : ipv4.protocol(ip); }
function noteOf(kind: u32, v6: bool): u32 { return v6 ? kind | NoteFamily.V6 : kind; }

/** There is a policy for it, and no association: no route (xfrm_lookup, EREMOTE). True: the frame has ended. */
export function withoutState(namespace: Namespace, frame: Frame, out: Device): bool {
  const policy = isV6(frame) ? outboundPolicy6(namespace, frame) : outboundPolicy(namespace, frame);
  if (!policy || stateFor(policy)) return false;
  count(namespace, XfrmStat.XfrmOutNoStates);
  drop(frame, Drop.XFRM_OUT_NO_STATES, out);
  return true;
}

/** xfrm_output. The frame is taken: it goes on when it is sealed, or ends here. */
export function transform(namespace: Namespace, frame: Frame, policy: Policy, out: Device): void {
  const association = stateFor(policy);
  if (!association) {
    count(namespace, XfrmStat.XfrmOutNoStates);
    return drop(frame, Drop.XFRM_OUT_NO_STATES, out);
  }
  if (recording) endsAtCipher(frame, Way.SEAL, association, out);
  dependsOnOthers(frame);
  waitToSeal(frame, association, out);
}

/** Until its turn has come to be sealed by `association`; then it leaves by `out`. */
export function waitToSeal(frame: Frame, association: Association, out: Device): void {
  frame.out = out;
  wait(frame, association, out);
  gather(max(frame.time, now), Event.XFRM_SEAL, changetype<usize>(association), frame);
}

/** It waits for its cipher, and holds what it will go on with: the association, the device, the namespace. */
function wait(frame: Frame, association: Association, device: Device): void {
  resetConntrack(frame);
  frame.device = device;
  frame.port = null;
  frame.association = association;
  association.held++;
  association.namespace.pending++;
  device.pending++;
}

function resume(frame: Frame, device: Device): void {
  const association = frame.association!;
  association.namespace.pending--;
  device.pending--;
  frame.association = null;
  release(association);
}

/** Event.XFRM_SEAL: its turn has come (xfrm_output_one, esp_output). */
export function seal(waiting: Frame): void {
  let frame = waiting;
  const association = frame.association!;
  const namespace = association.namespace;
  const out = frame.out!;
  if (association.dead) return refuseOut(frame, XfrmStat.XfrmOutStateInvalid, Drop.XFRM_OUT_STATE_INVALID);
  if (association.sequence == u32.MAX_VALUE) return refuseOut(frame, XfrmStat.XfrmOutStateSeqError, Drop.XFRM_OUT_STATE_SEQ_ERROR);
  const v6 = isV6(frame);
  const header = headerLength(frame.data, v6);
  const payload = frame.length - header;
  if (frame.length + esp.HEAD + esp.MOST_TAIL > 65535) return refuseOut(frame, XfrmStat.XfrmOutStateProtoError, Drop.XFRM_OUT_STATE_PROTO_ERROR);
  if (!expandHeadroom(frame, esp.HEAD + ethernet.LENGTH) || frame.data + frame.length + esp.MOST_TAIL > frame.end) {
    const larger = copyToLarger(frame, esp.MOST_TAIL);
    if (!larger) return refuseOut(frame, XfrmStat.XfrmOutStateProtoError, Drop.NOMEM);
    frame = larger;
  }
  association.sequence++;
  association.bytes += payload;
  association.packets++;
  use(association, frame.time);
  const from = frame.data;
  const next = protocolOf(from, v6);
  const encrypted = esp.close(from + header, payload, next);
  const ip = from - esp.HEAD;
  memory.copy(ip, from, header);
  frame.data = ip;
  frame.length = header + esp.HEAD + encrypted + esp.ICV;
  const sequence = association.sequence;
  esp.emit(ip + header, association.spi, sequence, bswap<u64>(<u64>sequence) ^ association.mask);
  carry(ip, v6, frame.length, ipv4.ESP);
  note(frame, noteOf(Note.SEAL, v6), bswap<u32>(association.spi), sequence, 0, destinationAt(ip, v6), 0, out);
  if (!cipher(CipherWork.SEAL, association, frame, ip + header, encrypted, Event.XFRM_SEALED)) {
    refuseOut(frame, XfrmStat.XfrmOutStateProtoError, Drop.NOMEM);
  }
}

/** Event.XFRM_SEALED: through OUTPUT and POSTROUTING as the packet that it is now (xfrm_output_resume). */
export function sealed(frame: Frame): void {
  const association = frame.association!;
  const namespace = association.namespace;
  if (!frame.ciphered) return refuseOut(frame, XfrmStat.XfrmOutStateProtoError, Drop.XFRM_OUT_STATE_PROTO_ERROR);
  const id = association.id;
  resume(frame, frame.out!);
  frame.flags |= TRANSFORMED;
  if (isV6(frame)) outputTransformed6(namespace, frame, frame.out!);
  else sealedOut(namespace, frame, id, frame.out!);
}

function refuseOut(frame: Frame, what: XfrmStat, reason: Drop): void {
  const out = frame.out!;
  count(frame.association!.namespace, what);
  resume(frame, out);
  drop(frame, reason, out);
}

/** xfrm_input: an ESP packet that INPUT let pass, `frame.data` its IP header. */
export function transformedIn(namespace: Namespace, frame: Frame, device: Device): void {
  const ip = frame.data;
  const v6 = isV6(frame);
  const header = headerLength(ip, v6);
  if (frame.length - header < esp.LENGTH) {
    count(namespace, XfrmStat.XfrmInHdrError);
    return drop(frame, Drop.XFRM_IN_HDR_ERROR, device);
  }
  const association = findAssociation(namespace, v6, destinationAt(ip, v6), esp.spi(ip + header));
  if (!association) {
    count(namespace, XfrmStat.XfrmInNoStates);
    return drop(frame, Drop.XFRM_IN_NO_STATES, device);
  }
  if (recording) endsAtCipher(frame, Way.OPEN, association, device);
  waitToOpen(frame, association, device);
}

/** Until `association` has opened it; then it enters again by `device`. */
export function waitToOpen(frame: Frame, association: Association, device: Device): void {
  const header = headerLength(frame.data, association.v6 != 0);
  const length = frame.length - header;
  wait(frame, association, device);
  use(association, frame.time);
  // Too short to hold an ICV: the cipher is not asked.
  if (length < esp.HEAD + esp.ICV) return refuseIn(frame, XfrmStat.XfrmInStateProtoError, Drop.XFRM_IN_STATE_PROTO_ERROR);
  if (!cipher(CipherWork.OPEN, association, frame, frame.data + header, length - esp.HEAD - esp.ICV, Event.XFRM_OPENED)) {
    refuseIn(frame, XfrmStat.XfrmInBufferError, Drop.NOMEM);
  }
}

/** Event.XFRM_OPENED: the packet that was inside (esp_input_done2, xfrm4_transport_finish). */
export function opened(frame: Frame): void {
  const association = frame.association!;
  const namespace = association.namespace;
  const device = frame.device!;
  if (association.dead) return refuseIn(frame, XfrmStat.XfrmInStateInvalid, Drop.XFRM_IN_STATE_INVALID);
  if (!frame.ciphered) {
    association.integrityFailed++;
    return refuseIn(frame, XfrmStat.XfrmInStateProtoError, Drop.XFRM_IN_STATE_PROTO_ERROR);
  }
  const from = frame.data;
  const v6 = isV6(frame);
  const header = headerLength(from, v6);
  const plain = from + header + esp.HEAD;
  const length = frame.length - header - esp.HEAD - esp.ICV;
  // Room for a trailer, and something before it that is not padding; and no dummy packet (RFC 4303, section 2.6).
  const pad = length >= esp.TRAILER ? esp.padLength(plain, length) : 0;
  if (length < esp.TRAILER + pad || esp.nextHeader(plain, length) == NO_NEXT) {
    return refuseIn(frame, XfrmStat.XfrmInStateProtoError, Drop.XFRM_IN_STATE_PROTO_ERROR);
  }
  const payload = length - pad - esp.TRAILER;
  const sequence = esp.sequence(from + header);
  association.bytes += payload;
  association.packets++;
  const next = esp.nextHeader(plain, length);
  const ip = from + esp.HEAD;
  memory.copy(ip, from, header);
  frame.data = ip;
  frame.length = header + payload;
  carry(ip, v6, frame.length, next);
  note(frame, noteOf(Note.OPEN, v6), bswap<u32>(association.spi), sequence, 0, sourceAt(ip, v6), 0, device);
  resume(frame, device);
  frame.flags |= SECPATH;
  if (v6) receiveTransformed6(namespace, frame, device);
  else openedIn(namespace, frame, device);
}

/** IPPROTO_NONE */
const NO_NEXT: u32 = 59;

function refuseIn(frame: Frame, what: XfrmStat, reason: Drop): void {
  const device = frame.device!;
  count(frame.association!.namespace, what);
  resume(frame, device);
  drop(frame, reason, device);
}

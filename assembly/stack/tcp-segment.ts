// The segment at hand: its header's fields in the host's byte order, for all that receiving does with it. Receiving never sends, so no
// other segment comes in between.

import { Frame } from "../frame";
import { drop, Drop } from "../drops";
import * as ipv4 from "../wire/ipv4";
import * as ipv6 from "../wire/ipv6";
import * as tcp from "../wire/tcp";
import { keepAt } from "../tables/addresses6";

export let time: u64 = 0;
/** Where it begins in memory, and how long its header is. */
export let header: usize = 0;
export let headerLength: u32 = 0;
export let sequence: u32 = 0;
export let acknowledgment: u32 = 0;
export let flags: u32 = 0;
/** Bytes of data. */
export let length: u32 = 0;
/** As sockets are known by: with `V6` over IPv6, where addresses are numbers (tables/addresses6). */
export let protocol: u32 = 0;
export let local: u32 = 0;
export let remote: u32 = 0;

/** Reads the segment of a packet whose IP header, of either version, has been checked. False: it is none, and the frame was dropped. */
export function readSegment(frame: Frame): bool {
  const ip = frame.data;
  const v6 = ipv4.version(ip) == 6;
  const skip = v6 ? <u32>frame.upperAt : ipv4.headerLength(ip);
  const total = frame.length - skip;
  header = ip + skip;
  if (total < tcp.LENGTH) return refuse(frame, Drop.PKT_TOO_SMALL);
  headerLength = tcp.headerLength(header);
  if (headerLength < tcp.LENGTH || headerLength > total) return refuse(frame, Drop.PKT_TOO_SMALL);
  if (v6) {
    if (!tcp.checksumOk6(header, total, ip)) return refuse(frame, Drop.TCP_CSUM);
    protocol = ipv4.TCP | ipv6.V6;
    remote = keepAt(ip + ipv6.AT_SOURCE);
    local = keepAt(ip + ipv6.AT_DESTINATION);
  } else {
    protocol = ipv4.TCP;
    remote = ipv4.source(ip);
    local = ipv4.destination(ip);
    if (!tcp.checksumOk(header, total, remote, local)) return refuse(frame, Drop.TCP_CSUM);
  }
  time = frame.time;
  sequence = tcp.sequence(header);
  acknowledgment = tcp.acknowledgment(header);
  flags = tcp.flags(header);
  length = total - headerLength;
  return true;
}

function refuse(frame: Frame, reason: Drop): bool {
  drop(frame, reason, frame.device);
  return false;
}

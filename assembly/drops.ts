// Why a frame ended here: one list for the counters, the reports and the docs. Names follow the kernel's
// (include/net/dropreason-core.h: SKB_DROP_REASON_*), or its counters where it has no reason of its own.
//
// Conservation: made (injected + generated + cloned) = delivered + dropped + in flight. Every frame that ends passes
// through `deliver` or `drop` below.

import { Device } from "./devices/device";
import { Frame, freeFrame } from "./frame";
import { releaseUnconfirmed } from "./tables/connections";
import { lose } from "./load/load";
import { ownsFrame } from "./load/shards";
import { recording } from "./flowtable/recorder";
import { dies } from "./flowtable/floods";

export enum Drop {
  NONE,
  PKT_TOO_SMALL,
  OTHERHOST,
  UNHANDLED_PROTO,
  IP_INHDR,
  IP_CSUM,
  IP_INVALID_SOURCE,
  IP_INVALID_DEST,
  IP_LOCAL_SOURCE,
  IP_IN_NO_ROUTE,
  IP_OUT_NO_ROUTE,
  IP_FORWARDING_OFF,
  IP_TTL_EXPIRED,
  IP_NOPROTO,
  NETFILTER_DROP,
  CONNTRACK_TABLE_FULL,
  CONNTRACK_CLASH,
  NAT_NO_FREE_TUPLE,
  IPVS_NO_DESTINATION,
  FRAG_REASM_TIMEOUT,
  FRAG_OVERLAP,
  FRAG_TOO_FAR,
  FRAG_INVALID,
  PKT_TOO_BIG,
  NEIGH_FAILED,
  NEIGH_QUEUEFULL,
  ARP_INVALID,
  MAC_INVALID_SOURCE,
  BRIDGE_NO_EGRESS,
  BRIDGE_SAME_PORT,
  VXLAN_INVALID_HDR,
  VXLAN_VNI_NOT_FOUND,
  VXLAN_ENTRY_EXISTS,
  VXLAN_NO_REMOTE,
  VXLAN_ARP_SWALLOWED,
  IP_TUNNEL_ECN,
  VLAN_NOT_FOUND,
  IPVLAN_PRIVATE,
  IPVLAN_L3_GROUP,
  DUMMY,
  UDP_CSUM,
  TCP_CSUM,
  ICMP_CSUM,
  NO_SOCKET,
  SOCKET_RCVBUFF,
  TCP_INVALID_SEQUENCE,
  TCP_FLAGS,
  TCP_CLOSE,
  DEV_DOWN,
  NO_CARRIER,
  LOOP,
  NOMEM,
  SEGMENT_LOSS,
  SEGMENT_FIREWALL,
  /** The kernel's counters of /proc/net/xfrm_stat. */
  XFRM_IN_HDR_ERROR,
  XFRM_IN_NO_STATES,
  XFRM_IN_STATE_PROTO_ERROR,
  XFRM_IN_STATE_INVALID,
  XFRM_OUT_NO_STATES,
  XFRM_OUT_STATE_PROTO_ERROR,
  XFRM_OUT_STATE_SEQ_ERROR,
  XFRM_OUT_STATE_INVALID,
  IPV6DISABLED,
  IPV6_BAD_EXTHDR,
  IPV6_NDISC_HOP_LIMIT,
  IPV6_NDISC_BAD_CODE,
  IPV6_NDISC_BAD_OPTIONS,
  IPV6_NDISC_NS_OTHERHOST,
  VXLAN_ND_SWALLOWED,
  REASONS,
}

/** Every frame is counted where it is made and where it ends. */
@final
class Account {
  made: u32 = 0;
  injected: u32 = 0;
  generated: u32 = 0;
  cloned: u32 = 0;
  delivered: u32 = 0;
  dropped: u32 = 0;
}
export const account = new Account();

/** The frame ends at its goal: a socket took it, or the stack itself (ARP, ICMP, a merged fragment). */
export function deliver(frame: Frame): void {
  if (ownsFrame(frame)) account.delivered++;
  if (frame.connection) releaseUnconfirmed(frame);
  freeFrame(frame);
}

/** The frame ends at `place` for `reason`: counted there, whatever device it came by. */
export function drop(frame: Frame, reason: Drop, place: Device | null): void {
  if (recording) dies(frame, reason, place);
  if (ownsFrame(frame)) dropped(reason, place);
  if (frame.loadKind) lose(frame, reason);
  if (frame.connection) releaseUnconfirmed(frame);
  freeFrame(frame);
}

/** Counts it. */
// @ts-ignore: decorator
@inline
export function dropped(reason: Drop, place: Device | null): void {
  account.dropped++;
  if (!place) return;
  const at = place.drops + (<usize>reason << 2);
  store<u32>(at, load<u32>(at) + 1);
}

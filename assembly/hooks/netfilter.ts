// The five hooks, each in netfilter's order of priorities (include/uapi/linux/netfilter_ipv4.h):
//
//  PREROUTING   defragment -400 · raw -300 · conntrack -200 · mangle -150 · nat -100
//  INPUT        mangle -150 · filter 0 · ipvs 98, 99 · nat 100 · confirm
//  FORWARD      mangle -150 · filter 0 · ipvs 99, 100
//  OUTPUT       defragment -400 · raw -300 · conntrack -200 · mangle -150 · nat -100 · ipvs -99 · filter 0
//  POSTROUTING  mangle -150 · nat 100 · confirm
//
// `frame.data` is the IPv4 header; netfilter6 has IPv6's. A hook that answers false has consumed the frame.

import { CT_INVALID, CT_REPLY, CT_UNTRACKED, Frame } from "../frame";
import { drop, Drop } from "../drops";
import { Device } from "../devices/device";
import { Namespace, baseChain } from "../stack/namespace";
import { FILTER, Hook, MANGLE, NAT, RAW } from "../tables/rules";
import { CONFIRMED, confirmConnection } from "../tables/connections";
import { conntrackIn } from "./conntrack";
import { forget, recording } from "../flowtable/recorder";
import { natHook } from "./nat";
import { walk } from "./filter";
import { ipvsForward, ipvsInput, ipvsOutput } from "./ipvs";

export function prerouting(namespace: Namespace, frame: Frame, device: Device): bool {
  if (!filtered(namespace, RAW, Hook.PREROUTING, frame, device, null)) return false;
  if (namespace.conntrack && !conntrackIn(namespace, frame, Hook.PREROUTING, device)) return false;
  if (recording && frame.connectionInfo == CT_INVALID) forget(frame);
  if (!filtered(namespace, MANGLE, Hook.PREROUTING, frame, device, null)) return false;
  return natted(namespace, NAT, Hook.PREROUTING, frame, device, null);
}

export function input(namespace: Namespace, frame: Frame, device: Device): bool {
  if (!filtered(namespace, MANGLE, Hook.INPUT, frame, device, null)) return false;
  if (!filtered(namespace, FILTER, Hook.INPUT, frame, device, null)) return false;
  if (namespace.ipvs && !ipvsInput(namespace, frame, device)) return false;
  if (!natted(namespace, NAT, Hook.INPUT, frame, device, null)) return false;
  return confirm(frame, device);
}

export function forward(namespace: Namespace, frame: Frame, device: Device, out: Device): bool {
  if (!filtered(namespace, MANGLE, Hook.FORWARD, frame, device, out)) return false;
  if (!filtered(namespace, FILTER, Hook.FORWARD, frame, device, out)) return false;
  return !namespace.ipvs || ipvsForward(namespace, frame, device, out);
}

export function localOutput(namespace: Namespace, frame: Frame, out: Device): bool {
  if (!filtered(namespace, RAW, Hook.OUTPUT, frame, null, out)) return false;
  if (namespace.conntrack && !conntrackIn(namespace, frame, Hook.OUTPUT, out)) return false;
  if (recording && frame.connectionInfo == CT_INVALID) forget(frame);
  if (!filtered(namespace, MANGLE, Hook.OUTPUT, frame, null, out)) return false;
  if (!natted(namespace, NAT, Hook.OUTPUT, frame, null, out)) return false;
  if (namespace.ipvs) ipvsOutput(namespace, frame, out);
  return filtered(namespace, FILTER, Hook.OUTPUT, frame, null, out);
}

export function postrouting(namespace: Namespace, frame: Frame, device: Device | null, out: Device): bool {
  if (!filtered(namespace, MANGLE, Hook.POSTROUTING, frame, device, out)) return false;
  if (!natted(namespace, NAT, Hook.POSTROUTING, frame, device, out)) return false;
  return confirm(frame, out);
}

/** `table`: MANGLE, FILTER or RAW, of either family. */
export function filtered(namespace: Namespace, table: u32, hook: Hook, frame: Frame, device: Device | null, out: Device | null): bool {
  const chain = baseChain(namespace, table, hook);
  if (!chain || walk(chain, namespace, frame, hook, device, out)) return true;
  drop(frame, Drop.NETFILTER_DROP, device ? device : out);
  return false;
}

/** nat is there as soon as conntrack is and any nat chain has been registered (nf_nat_register_fn): all hooks at once. */
export function natted(namespace: Namespace, table: u32, hook: Hook, frame: Frame, device: Device | null, out: Device | null): bool {
  if (!frame.connection) return true;
  return natHook(namespace, frame, hook, baseChain(namespace, table, hook), device, out);
}

/** The connection becomes known to all (nf_conntrack_confirm): by the packet that made it, not by an error about that packet. */
export function confirm(frame: Frame, place: Device): bool {
  const connection = frame.connection;
  if (!connection || connection.status & CONFIRMED || frame.connectionInfo >= CT_REPLY) return true;
  if (confirmConnection(connection)) return true;
  drop(frame, Drop.CONNTRACK_CLASH, place);
  return false;
}

/** ctstate of a frame as a rule sees it. */
// @ts-ignore: decorator
@inline
export function untracked(frame: Frame): bool {
  return frame.connectionInfo == CT_UNTRACKED || frame.connectionInfo == CT_INVALID;
}

// The five hooks for IPv6, in the same order as for IPv4 (netfilter.ts). `frame.data` is the IPv6 header.
//
// Fragments are put together for conntrack at PREROUTING and OUTPUT, so these two hand back the packet that goes on.

import { CT_INVALID, Frame } from "../frame";
import { Device } from "../devices/device";
import { Namespace } from "../stack/namespace";
import { gather6 } from "../stack/fragments6";
import { FILTER, Hook, MANGLE, NAT, RAW, TABLES6 } from "../tables/rules";
import { User } from "../tables/reassembly";
import { forget, recording } from "../flowtable/recorder";
import { conntrackIn6 } from "./conntrack6";
import { confirm, filtered, natted } from "./netfilter";

/** `user`: whose fragments these are, CONNTRACK_IN or CONNTRACK_BRIDGE_IN. */
export function prerouting6(namespace: Namespace, frame: Frame, device: Device, user: User): Frame | null {
  const packet = namespace.conntrack6 ? gather6(namespace, frame, user) : frame;
  if (!packet) return null;
  if (!filtered(namespace, TABLES6 + RAW, Hook.PREROUTING, packet, device, null)) return null;
  if (namespace.conntrack6 && !conntrackIn6(namespace, packet, Hook.PREROUTING, device)) return null;
  if (recording && packet.connectionInfo == CT_INVALID) forget(packet);
  if (!filtered(namespace, TABLES6 + MANGLE, Hook.PREROUTING, packet, device, null)) return null;
  return natted(namespace, TABLES6 + NAT, Hook.PREROUTING, packet, device, null) ? packet : null;
}

export function input6(namespace: Namespace, frame: Frame, device: Device): bool {
  if (!filtered(namespace, TABLES6 + MANGLE, Hook.INPUT, frame, device, null)) return false;
  if (!filtered(namespace, TABLES6 + FILTER, Hook.INPUT, frame, device, null)) return false;
  if (!natted(namespace, TABLES6 + NAT, Hook.INPUT, frame, device, null)) return false;
  return confirm(frame, device);
}

export function forward6(namespace: Namespace, frame: Frame, device: Device, out: Device): bool {
  if (!filtered(namespace, TABLES6 + MANGLE, Hook.FORWARD, frame, device, out)) return false;
  return filtered(namespace, TABLES6 + FILTER, Hook.FORWARD, frame, device, out);
}

export function localOutput6(namespace: Namespace, frame: Frame, out: Device): Frame | null {
  const packet = namespace.conntrack6 ? gather6(namespace, frame, User.CONNTRACK_OUT) : frame;
  if (!packet) return null;
  if (!filtered(namespace, TABLES6 + RAW, Hook.OUTPUT, packet, null, out)) return null;
  if (namespace.conntrack6 && !conntrackIn6(namespace, packet, Hook.OUTPUT, out)) return null;
  if (recording && packet.connectionInfo == CT_INVALID) forget(packet);
  if (!filtered(namespace, TABLES6 + MANGLE, Hook.OUTPUT, packet, null, out)) return null;
  if (!natted(namespace, TABLES6 + NAT, Hook.OUTPUT, packet, null, out)) return null;
  return filtered(namespace, TABLES6 + FILTER, Hook.OUTPUT, packet, null, out) ? packet : null;
}

export function postrouting6(namespace: Namespace, frame: Frame, device: Device | null, out: Device): bool {
  if (!filtered(namespace, TABLES6 + MANGLE, Hook.POSTROUTING, frame, device, out)) return false;
  if (!natted(namespace, TABLES6 + NAT, Hook.POSTROUTING, frame, device, out)) return false;
  return confirm(frame, out);
}

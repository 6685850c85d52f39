// The five hooks for IPv6, in the same order as for IPv4 (netfilter.ts). `frame.data` is the IPv6 header.
//
// Fragments are put together for conntrack at PREROUTING and OUTPUT, so these two hand back the packet that goes on.

import { Frame } from "../frame";
import { Device } from "../devices/device";
import { Namespace } from "../stack/namespace";
import { setReroute } from "../stack/output6";

export function prerouting6(namespace: Namespace, frame: Frame, device: Device): Frame | null {
  return frame;
}

export function input6(namespace: Namespace, frame: Frame, device: Device): bool {
  return true;
}

export function forward6(namespace: Namespace, frame: Frame, device: Device, out: Device): bool {
  return true;
}

export function localOutput6(namespace: Namespace, frame: Frame, out: Device): Frame | null {
  setReroute(false);
  return frame;
}

export function postrouting6(namespace: Namespace, frame: Frame, device: Device | null, out: Device): bool {
  return true;
}

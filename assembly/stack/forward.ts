// Forwarding (ip_forward): TTL, the MTU of the way out, FORWARD, and on to POSTROUTING.

import { Frame } from "../frame";
import { drop, Drop } from "../drops";
import { Device } from "../devices/device";
import { Namespace } from "./namespace";
import * as ipv4 from "../wire/ipv4";
import { Route } from "../tables/routes";
import { forward } from "../hooks/netfilter";
import { finishOutput } from "./output";
import { sendFragmentationNeeded, sendTimeExceeded } from "./icmp";
import { note, Note } from "../capture/tap";

export function forwardPacket(namespace: Namespace, frame: Frame, device: Device, route: Route): void {
  const ip = frame.data;
  const out = route.device;
  const ttl = ipv4.ttl(ip);
  if (ttl <= 1) {
    sendTimeExceeded(namespace, frame, 0);
    return drop(frame, Drop.IP_TTL_EXPIRED, device);
  }
  if (frame.length > out.mtu && ipv4.flagsAndOffset(ip) & ipv4.DF && (!frame.fragmentMax || frame.fragmentMax > out.mtu)) {
    sendFragmentationNeeded(namespace, frame, out.mtu);
    return drop(frame, Drop.PKT_TOO_BIG, device);
  }
  ipv4.decrementTtl(ip);
  note(frame, Note.FORWARD, 0, ttl, 0, ttl - 1, 0, out);
  frame.nextHop = route.gateway ? route.gateway : ipv4.destination(ip);
  frame.routeType = route.type;
  if (!forward(namespace, frame, device, out)) return;
  finishOutput(namespace, frame, device, out);
}

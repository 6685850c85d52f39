// Forwarding (ip_forward): TTL, the MTU of the way out, FORWARD, and on to POSTROUTING.

import { Frame } from "../frame";
import { drop, Drop } from "../drops";
import { Device } from "../devices/device";
import { Namespace } from "./namespace";
import * as ipv4 from "../wire/ipv4";
import { Route, RouteType, lookUp } from "../tables/routes";
import { forward } from "../hooks/netfilter";
import { finishOutput } from "./output";
import { sendFragmentationNeeded, sendRedirect, sendTimeExceeded } from "./icmp";
import { DST_NAT, SRC_NAT } from "../tables/connections";
import { obtainNeighbour } from "../tables/neighbours";
import { fitted, forget, recording } from "../flowtable/recorder";
import { note, Note } from "../capture/tap";
import { dependsOnOthers } from "../load/ways";

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
  if (recording) fitted(frame, frame.length, out.mtu);
  ipv4.decrementTtl(ip);
  note(frame, Note.FORWARD, 0, ttl, 0, ttl - 1, 0, out);
  frame.nextHop = route.gateway ? route.gateway : ipv4.destination(ip);
  frame.routeType = route.type;
  if (out == device) redirect(namespace, frame, device);
  if (!forward(namespace, frame, device, out)) return;
  finishOutput(namespace, frame, device, out);
}

const REDIRECTS: u32 = 9; // net.ipv4.route.redirect_number
const REDIRECT_LOAD: u64 = 20_000_000; // net.ipv4.route.redirect_load, ns

/**
 * It goes back out by the device it came by, and its sender is on that link: it could have gone to the next hop itself, and
 * is told so, each time after twice as long (ip_rt_send_redirect; net.ipv4.conf.all.send_redirects is on).
 */
function redirect(namespace: Namespace, frame: Frame, device: Device): void {
  forget(frame);
  // About a translated connection netfilter would drop it at OUTPUT (nf_nat_icmp_reply_translation): it is not made at all.
  const connection = frame.connection;
  if (connection && connection.status & (SRC_NAT | DST_NAT)) return;
  dependsOnOthers(frame);
  const source = ipv4.source(frame.data);
  const back = lookUp(namespace, source);
  if (!back || back.type != <u8>RouteType.UNICAST || back.gateway || back.device != device) return;
  const sender = obtainNeighbour(device, source);
  if (!sender) return;
  const time = frame.time;
  if (time > sender.redirected + (REDIRECT_LOAD << 10)) sender.redirects = 0;
  if (sender.redirects >= REDIRECTS) {
    sender.redirected = time;
    return;
  }
  if (sender.redirects && time <= sender.redirected + (REDIRECT_LOAD << <u64>sender.redirects)) return;
  sendRedirect(namespace, frame, frame.nextHop);
  sender.redirected = time;
  sender.redirects++;
}

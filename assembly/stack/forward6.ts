// Forwarding of IPv6 (ip6_forward): hop limit, the MTU of the way out, FORWARD, and on to POSTROUTING.

import { Frame } from "../frame";
import { drop, Drop } from "../drops";
import { Device } from "../devices/device";
import { Namespace } from "./namespace";
import * as icmpv6 from "../wire/icmpv6";
import * as ipv6 from "../wire/ipv6";
import { Route6 } from "../tables/routes6";
import { forward6 } from "../hooks/netfilter6";
import { finishOutput6, setNextHop } from "./output6";
import { sendTimeExceeded6, sendTooBig, sendUnreachable6 } from "./icmp6";
import { fitted, recording } from "../flowtable/recorder";
import { note, Note } from "../capture/tap";

export function forwardPacket6(namespace: Namespace, frame: Frame, device: Device, route: Route6): void {
  const ip = frame.data;
  const out = route.device;
  const hops = ipv6.hopLimit(ip);
  if (hops <= 1) {
    sendTimeExceeded6(namespace, frame, device, 0);
    return drop(frame, Drop.IP_TTL_EXPIRED, device);
  }
  const source = ip + ipv6.AT_SOURCE;
  if (ipv6.isUnspecified(source) || ipv6.isMulticast(source) || ipv6.isLoopback(source)) return drop(frame, Drop.IP_INVALID_SOURCE, device);
  if (ipv6.isLinkLocal(source)) {
    sendUnreachable6(namespace, frame, device, icmpv6.BEYOND_SCOPE);
    return drop(frame, Drop.IP_INVALID_SOURCE, device);
  }
  const mtu = max(out.mtu, ipv6.LEAST_MTU);
  if (frame.length > mtu && (!frame.fragmentMax || frame.fragmentMax > mtu)) {
    sendTooBig(namespace, frame, device, mtu);
    return drop(frame, Drop.PKT_TOO_BIG, device);
  }
  if (recording) fitted(frame, frame.length, mtu);
  ipv6.setHopLimit(ip, hops - 1);
  note(frame, Note.FORWARD, 0, hops, 0, hops - 1, 0, out);
  if (!setNextHop(frame, route)) return drop(frame, Drop.NOMEM, device);
  if (!forward6(namespace, frame, device, out)) return;
  finishOutput6(namespace, frame, device, out);
}

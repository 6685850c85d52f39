// A learning bridge without STP (net/bridge: br_input.c, br_forward.c, br_device.c). Its own tap makes it promiscuous,
// as a capture on a real bridge does: then it sees what passes between its ports, too. Open vSwitch's switching is the same to its
// frames, but that netfilter never sees them (UNFILTERED).

import { BRIDGED_DNAT, BRIDGED_OUTPUT, Frame, cloneFrame } from "../frame";
import { drop, Drop } from "../drops";
import * as ethernet from "../wire/ethernet";
import { takeBack } from "../tables/connections";
import { OWN, findEntry, learn } from "../tables/fdb";
import { Device, HAIRPIN, PROMISCUOUS, UNFILTERED, hopDelay, transmit } from "./device";
import { bridgeForward, bridgePrerouting, filtersBridged } from "../hooks/bridge";
import { stackReceive } from "../stack/input";
import { tap } from "../capture/tap";
import { counted, fitted, forget, recording } from "../flowtable/recorder";
import { floods, goes, joins } from "../flowtable/floods";

/** is_skb_forwardable leaves room for one 802.1q tag. */
const VLAN_TAG: u32 = 4;

// @ts-ignore: decorator
@inline
function filters(bridge: Device, frame: Frame): bool {
  return !(bridge.flags & UNFILTERED) && filtersBridged(bridge.namespace, ethernet.type(frame.data));
}

/** The namespace's own stack sends by the bridge (br_dev_xmit). */
export function bridgeTransmit(bridge: Device, frame: Frame): void {
  if (frame.flags & BRIDGED_OUTPUT) {
    // br_nf_dev_xmit: it was on its way from a port to another, and only fetched its MAC.
    frame.flags &= ~BRIDGED_OUTPUT;
    takeBack(frame);
    ethernet.emit(frame.data, ethernet.destination(frame.data), frame.portSource, ethernet.type(frame.data));
    return pass(bridge, frame.port!, frame);
  }
  const destination = ethernet.destination(frame.data);
  if (!ethernet.isGroup(destination)) {
    const entry = findEntry(bridge.id, destination, frame.time);
    if (entry && !(entry.flags & OWN) && entry.port) return transmit(entry.port!, frame);
  }
  flood(bridge, null, frame);
}

/** A port received it (br_handle_frame, br_handle_frame_finish). */
export function bridgeReceive(port: Device, frame: Frame): void {
  const bridge = port.master!;
  const source = ethernet.source(frame.data);
  if (ethernet.isGroup(source) || !source) return drop(frame, Drop.MAC_INVALID_SOURCE, port);
  // 01:80:c2:00:00:0x is for the bridge itself and is never forwarded (IEEE 802.1D 7.12.6).
  if ((ethernet.destination(frame.data) & 0xf0ffffffffff) == 0x0000c28001) return drop(frame, Drop.BRIDGE_NO_EGRESS, port);
  frame.port = port;
  if (filters(bridge, frame)) {
    const after = bridgePrerouting(bridge, port, frame);
    if (!after) return;
    return pass(bridge, port, after);
  }
  pass(bridge, port, frame);
}

function pass(bridge: Device, port: Device, frame: Frame): void {
  const time = frame.time;
  learn(bridge.id, ethernet.source(frame.data), port, 0, time);
  const destination = ethernet.destination(frame.data);
  if (ethernet.isGroup(destination)) {
    // Up as well as out: the copy goes out first, as in the kernel.
    forget(frame);
    const copy = cloneFrame(frame);
    if (copy) flood(bridge, port, copy);
    return passUp(bridge, frame);
  }
  const entry = findEntry(bridge.id, destination, time);
  if (entry && entry.flags & OWN) return passUp(bridge, frame);
  see(bridge, frame);
  const copy = bridge.flags & PROMISCUOUS && frame.flags & BRIDGED_DNAT ? cloneFrame(frame) : null;
  if (copy) forget(frame);
  if (entry && entry.port) forwardTo(bridge, port, entry.port!, frame);
  else flood(bridge, port, frame);
  if (copy) takeUp(bridge, copy);
}

/**
 * A promiscuous bridge's stack takes what it would else have routed, although it was bridged: the packet goes on twice. That is
 * what a capture on a real bridge does to an endpoint behind it that asks for a published port of its own node.
 */
function takeUp(bridge: Device, frame: Frame): void {
  frame.device = bridge;
  ethernet.emit(frame.data, bridge.mac, ethernet.source(frame.data), ethernet.type(frame.data));
  stackReceive(bridge, frame);
}

/** To the bridge's own stack (br_pass_frame_up). */
function passUp(bridge: Device, frame: Frame): void {
  frame.time += hopDelay;
  frame.device = bridge;
  bridge.rxPackets++;
  bridge.rxBytes += frame.length;
  if (recording) counted(frame, changetype<usize>(bridge) + offsetof<Device>("rxPackets"), frame.length);
  if (bridge.tap) tap(bridge, frame, true);
  stackReceive(bridge, frame);
}

/** A promiscuous bridge gets a copy of what it only forwards; nothing but the tap is interested in that. Without one the time is the same. */
function see(bridge: Device, frame: Frame): void {
  frame.time += hopDelay;
  if (bridge.tap) tap(bridge, frame, true);
}

function forwardTo(bridge: Device, from: Device, to: Device, frame: Frame): void {
  if (from == to && !(to.flags & HAIRPIN)) return drop(frame, Drop.BRIDGE_SAME_PORT, from);
  if (frame.length > to.mtu + ethernet.LENGTH + VLAN_TAG && !frame.fragmentMax) return drop(frame, Drop.PKT_TOO_BIG, to);
  if (recording) fitted(frame, frame.length, to.mtu + ethernet.LENGTH + VLAN_TAG);
  if (filters(bridge, frame)) return bridgeForward(bridge, to, frame);
  transmit(to, frame);
}

/** To every port but the one it came by; the last takes the frame itself (br_flood). */
function flood(bridge: Device, from: Device | null, frame: Frame): void {
  let target: Device | null = null;
  let copies = false;
  let recorded = false;
  let port = bridge.ports;
  while (port) {
    if (port != from || port.flags & HAIRPIN) {
      if (target) {
        if (!copies && recording) recorded = floods(frame);
        copies = true;
        const copy = cloneFrame(frame);
        if (recorded) goes(copy);
        if (copy) deliverTo(bridge, from, target, copy);
      }
      target = port;
    }
    port = port.nextPort;
  }
  if (recorded) goes(frame);
  if (target) deliverTo(bridge, from, target, frame);
  else drop(frame, Drop.BRIDGE_NO_EGRESS, bridge);
  if (recorded) joins();
}

function deliverTo(bridge: Device, from: Device | null, to: Device, frame: Frame): void {
  if (from) forwardTo(bridge, from, to, frame);
  else transmit(to, frame);
}


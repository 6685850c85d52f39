// 802.1Q sub-interfaces (net/8021q/vlan_core.c vlan_do_receive, vlan_dev.c vlan_dev_hard_start_xmit): a device sees
// frames without the tag that they have on the device below it. A tag is pushed into the frame's headroom, and pulled off.

import { changed } from "../tables/generation";
import { forget } from "../flowtable/recorder";
import { Frame, expandHeadroom, pull, push } from "../frame";
import { drop, Drop } from "../drops";
import * as ethernet from "../wire/ethernet";
import * as vlan from "../wire/vlan";
import { Device, UP, VLANS, arrive, transmit } from "./device";
import { stackReceive } from "../stack/input";
import { note, Note } from "../capture/tap";

/** `device` is VLAN `id` of `lower`: both namespaces may be any. */
export function openVlan(device: Device, lower: Device, id: u32): void {
  changed();
  device.lower = lower;
  device.vid = id;
  device.nextVlan = lower.vlans;
  lower.vlans = device;
  lower.handlers |= VLANS;
}

/** Of a device that goes (clock/removal: removeDevice). */
export function closeVlan(device: Device): void {
  const lower = device.lower!;
  if (lower.vlans == device) lower.vlans = device.nextVlan;
  else {
    let at = lower.vlans;
    while (at && at.nextVlan != device) at = at.nextVlan;
    if (at) at.nextVlan = device.nextVlan;
  }
  if (!lower.vlans) lower.handlers &= ~VLANS;
  device.lower = null;
}

export function vlanTransmit(device: Device, frame: Frame): void {
  forget(frame);
  if (frame.length < ethernet.LENGTH) return drop(frame, Drop.PKT_TOO_SMALL, device);
  if (!expandHeadroom(frame, vlan.LENGTH)) return drop(frame, Drop.NOMEM, device);
  vlan.insert(push(frame, vlan.LENGTH), device.vid);
  note(frame, Note.TAG, device.vid, 0, 0, 0, 0, device);
  transmit(device.lower!, frame);
}

/** A tagged frame came in by `lower`: true when one of its VLANs has taken it. Service tags (802.1ad) have no device here. */
export function vlanReceive(lower: Device, frame: Frame): bool {
  if (ethernet.type(frame.data) != vlan.TYPE_8021Q) return false;
  if (frame.length < vlan.SHORTEST) {
    drop(frame, Drop.PKT_TOO_SMALL, lower);
    return true;
  }
  const id = vlan.id(frame.data);
  let device = lower.vlans;
  while (device) {
    if (device.vid == id) {
      forget(frame);
      untag(frame);
      note(frame, Note.UNTAG, id, 0, 0, 0, 0, device);
      // Bytes without the Ethernet header, here alone (vlan_do_receive).
      if (device.flags & UP) {
        device.rxPackets++;
        device.rxBytes += frame.length - ethernet.LENGTH;
      }
      arrive(device, frame);
      return true;
    }
    device = device.nextVlan;
  }
  return false;
}

/**
 * A tagged frame that nobody on `device` has taken: a tag of VID 0 is a priority alone and goes; any other VLAN's frames are
 * not this device's (__netif_receive_skb_core: PACKET_OTHERHOST).
 */
export function vlanUnclaimed(device: Device, frame: Frame): void {
  if (frame.length < vlan.SHORTEST) return drop(frame, Drop.PKT_TOO_SMALL, device);
  if (vlan.id(frame.data)) return drop(frame, Drop.VLAN_NOT_FOUND, device);
  untag(frame);
  if (device.handlers & VLANS && vlanReceive(device, frame)) return;
  stackReceive(device, frame);
}

function untag(frame: Frame): void {
  vlan.remove(frame.data);
  pull(frame, vlan.LENGTH);
}

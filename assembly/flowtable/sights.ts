// Sights: what taps on a flow's way see. A frame there is the one that came in, the one that goes out, or the packet with
// another Ethernet header, fewer hops to live and addresses and ports on their way from one to the other: a stage.
//
// Sights belong to the track, the stages to the flow. Records are made of the header that comes in, and the data is
// copied once a tap, as it is on the slow way.

import { copyFrame } from "../copy";
import { Pool, arena } from "../memory";
import { Frame } from "../frame";
import { Device } from "../devices/device";
import { Of } from "../tables/generation";
import * as ethernet from "../wire/ethernet";
import * as ipv4 from "../wire/ipv4";
import * as ipv6 from "../wire/ipv6";
import * as tcp from "../wire/tcp";
import * as udp from "../wire/udp";
import * as vxlan from "../wire/vxlan";
import { fold } from "../wire/checksum";
import { isPairMarked } from "../tables/addresses6";
import { closeRecord, openRecord } from "../capture/tap";
import { Flow } from "./flows";
import { changeOf } from "./rewrite6";
import { keyA6 } from "./recorder6";
import { holdsIpv6, restage6 } from "./sights6";
import { SIGHTS, Sight, Track, Way, sightOf } from "./track";

/** What a tap sees of a frame: as it came in, the packet behind a header of the sight's own, or as it goes out. */
enum Look { IN, BETWEEN, OUT }

/** Addresses and ports at some point of the way, and what the checksums have changed by; 0: they stay. */
@unmanaged
export class Stage {
  addresses: u64;
  ports: u32;
  ipDelta: u16;
  l4Delta: u16;
}
export const STAGE: usize = 16;
/** A flow's stages, one after the other. */
export const STAGES: u32 = 4;
const pool = new Pool(STAGE * STAGES, 512, Of.TRAFFIC);

export function ensureStages(): void { pool.ensure(512); }

/** Room for a flow's stages, or 0. */
export function takeStages(): usize { return pool.take(0); }
export function giveStages(flow: Flow): void {
  if (flow.stages) pool.give(flow.stages);
  flow.stages = 0;
}

// @ts-ignore: decorator
@inline
function stageOf(stages: usize, n: u32): Stage { return changetype<Stage>(stages + <usize>(n - 1) * STAGE); }

// ---- recording

const HEADERS: usize = 128;
const seen = arena(HEADERS * SIGHTS);
/** Frame's length there, less that of the packet. */
const around: usize = memory.data(<i32>(SIGHTS * 4));

/** A tap has seen the frame whose way is recorded into `made`. False: too many. */
export function sighted(made: Track, frame: Frame, device: Device, received: bool, start: u64, length: u32, padding: u32): bool {
  const n = <u32>made.sights;
  if (n == SIGHTS) return false;
  const sight = sightOf(made, n);
  sight.tap = device.tap - 1;
  sight.received = received ? 1 : 0;
  sight.after = <u32>(frame.time - start);
  memory.copy(seen + <usize>n * HEADERS, frame.data, HEADERS);
  const more = frame.length - length;
  store<u32>(around + (<usize>n << 2), padding && more == ethernet.LENGTH + padding ? ethernet.LENGTH : more);
  made.sights = <u8>(n + 1);
  return true;
}

const staged: usize = memory.data(<i32>(STAGE * STAGES));
let stagesUsed: u32 = 0;

/**
 * Makes the recorded sights repeatable: `came` is the frame that came in, `left` the one that went out, with its innermost
 * packets at `ip` and `last`. False: one of them is not to be had of a header alone.
 */
export function settleSights(made: Track, came: usize, ip: usize, left: usize, length: u32): bool {
  stagesUsed = 0;
  memory.fill(staged, 0, STAGE * STAGES);
  let look: u32 = Look.IN;
  const v6 = ipv6.version(ip) == 6;
  const isTcp = (v6 ? ipv6.nextHeader(ip) : ipv4.protocol(ip)) == ipv4.TCP;
  const bare: usize = ethernet.LENGTH + (v6 ? ipv6.LENGTH : ipv4.LENGTH) + (isTcp ? tcp.LENGTH : udp.LENGTH);
  const wrapped = bare + vxlan.OVERHEAD;
  for (let i: u32 = 0; i < <u32>made.sights; i++) {
    const sight = sightOf(made, i);
    const at = seen + <usize>i * HEADERS;
    const more = load<u32>(around + (<usize>i << 2));
    let now: u32 = Look.BETWEEN;
    if (more == ethernet.LENGTH + vxlan.OVERHEAD) {
      if (made.ingress && memory.compare(at, came, wrapped) == 0) now = Look.IN;
      else if (made.way == <u8>Way.TUNNEL && memory.compare(at, left, wrapped) == 0) now = Look.OUT;
      else return false;
    } else if (more != ethernet.LENGTH || !between(sight, at, ip, bare, length)) return false;
    else if (!made.ingress && !sight.stage && memory.compare(at, came, bare) == 0) now = Look.IN;
    if (now < look) return false;
    look = now;
    sight.look = <u8>now;
  }
  return true;
}

function between(sight: Sight, at: usize, ip: usize, bare: usize, length: u32): bool {
  const v6 = ipv6.version(ip) == 6;
  if (ethernet.type(at) != (v6 ? ethernet.TYPE_IPV6 : ethernet.TYPE_IPV4)) return false;
  const there = at + ethernet.LENGTH;
  sight.low = load<u64>(at);
  sight.high = load<u32>(at, 8);
  sight.ttl = <u8>(v6 ? ipv6.hopLimit(ip) - ipv6.hopLimit(there) : ipv4.ttl(ip) - ipv4.ttl(there));
  const addresses = v6 ? keyA6(there) : load<u64>(there, 12);
  const header: usize = v6 ? ipv6.LENGTH : ipv4.LENGTH;
  const ports = load<u32>(there + header);
  const before = v6 ? keyA6(ip) : load<u64>(ip, 12);
  const portsBefore = load<u32>(ip + header);
  if (v6 && (!addresses || !before)) return false;
  let n: u32 = 0;
  if (addresses != before || ports != portsBefore) {
    n = 1;
    while (n <= stagesUsed && (stageOf(staged, n).addresses != addresses || stageOf(staged, n).ports != ports)) n++;
    if (n > STAGES) return false;
    if (n > stagesUsed) {
      stagesUsed = n;
      fillStage(staged, n, before, portsBefore, addresses, ports, v6);
    }
  }
  sight.stage = <u8>n;
  // Would it make this very header?
  const again = copied;
  memory.copy(again + ethernet.LENGTH, ip, bare - ethernet.LENGTH);
  restage(again, sight, staged);
  return memory.compare(again, at, bare) == 0;
}
const copied: usize = memory.data(128);

/** The `n`th stage of a packet that came in with `before` and `portsBefore`. */
export function fillStage(stages: usize, n: u32, before: u64, portsBefore: u32, addresses: u64, ports: u32, v6: bool): void {
  const stage = stageOf(stages, n);
  stage.addresses = addresses;
  stage.ports = ports;
  if (v6) {
    stage.l4Delta = changeOf(before, portsBefore, addresses, ports);
    return;
  }
  const moved = addresses == before ? 0 : words(~before) + words(addresses);
  stage.ipDelta = <u16>fold(moved);
  stage.l4Delta = <u16>fold(moved + words(<u64>~portsBefore) + words(<u64>ports));
}

/** Do tables name the addresses of all stages of a flow over IPv6? */
export function stagesMarked(flow: Flow): bool {
  if (!flow.stages) return true;
  for (let n: u32 = 1; n <= STAGES; n++) if (!isPairMarked(stageOf(flow.stages, n).addresses)) return false;
  return true;
}

/** Does the `n`th stage that was found look like that? False behind the last one, too. */
export function stagedAs(n: u32, addresses: u64, ports: u32): bool {
  return n <= stagesUsed && stageOf(staged, n).addresses == addresses && stageOf(staged, n).ports == ports;
}
/** How many were found. */
export function stagesFound(): u32 { return stagesUsed; }

function words(value: u64): u32 {
  return (<u32>value & 0xffff) + (<u32>value >>> 16) + (<u32>(value >>> 32) & 0xffff) + <u32>(value >>> 48);
}

/** The flow keeps the stages that were found. False: there is no room. */
export function keepStages(flow: Flow): bool {
  if (!stagesUsed) return true;
  const at = pool.take(0);
  if (!at) return false;
  memory.copy(at, staged, STAGE * STAGES);
  flow.stages = at;
  return true;
}

// ---- showing

/** Of the frame at `at`, which holds the packet at the end of what came in, the copy with the sight's own header. */
// @ts-ignore: decorator
@inline
function restage(at: usize, sight: Sight, stages: usize): void {
  store<u64>(at, sight.low);
  store<u32>(at, sight.high, 8);
  if (holdsIpv6(at)) return restage6(at, sight, sight.stage ? stageOf(stages, sight.stage) : null);
  store<u16>(at, <u16>ethernet.TYPE_IPV4, 12);
  const ip = at + ethernet.LENGTH;
  const ttl = <u32>sight.ttl;
  let delta: u32 = ttl ? 0xffff - ttl : 0;
  const n = <u32>sight.stage;
  if (n) {
    const stage = stageOf(stages, n);
    delta += stage.ipDelta;
    const l4 = ip + ipv4.LENGTH;
    store<u64>(ip, stage.addresses, 12);
    store<u32>(l4, stage.ports);
    const change = <u32>stage.l4Delta;
    if (ipv4.protocol(ip) == ipv4.TCP) tcp.setCheck(l4, <u16>(~fold((~tcp.check(l4) & 0xffff) + change)));
    else if (udp.check(l4)) udp.setCheck(l4, udp.neverZero(<u16>(~fold((~udp.check(l4) & 0xffff) + change))));
  }
  if (!delta) return;
  store<u8>(ip, <u8>(load<u8>(ip, 8) - ttl), 8);
  ipv4.setCheck(ip, <u16>(~fold((~ipv4.check(ip) & 0xffff) + delta)));
}

/** What taps see before the rewrite: of the frame at `at` with `whole` bytes, whose innermost packet is at `ip`, with `length`. */
export function showBefore(flow: Flow, track: Track, at: usize, whole: u32, ip: usize, length: u32, time: u64): void {
  for (let i: u32 = 0; i < <u32>track.sights; i++) {
    const sight = sightOf(track, i);
    if (sight.look == <u8>Look.OUT) return;
    const raw = sight.look == <u8>Look.IN;
    const bytes = raw ? whole : length + ethernet.LENGTH;
    const record = openRecord(sight.tap, time + sight.after, bytes);
    if (!record) continue;
    copyFrame(record, raw ? at : ip - ethernet.LENGTH, bytes);
    if (!raw) restage(record, sight, flow.stages);
    closeRecord(record, bytes, sight.received != 0);
  }
}

/** What taps see after it: the frame as it goes out. */
export function showAfter(track: Track, at: usize, whole: u32, time: u64): void {
  for (let i: u32 = 0; i < <u32>track.sights; i++) {
    const sight = sightOf(track, i);
    if (sight.look != <u8>Look.OUT) continue;
    const record = openRecord(sight.tap, time + sight.after, whole);
    if (!record) continue;
    copyFrame(record, at, whole);
    closeRecord(record, whole, sight.received != 0);
  }
}

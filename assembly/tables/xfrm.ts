// IPsec's databases (net/xfrm): security associations by destination, SPI and protocol; outbound policies by both
// addresses; and the counters of /proc/net/xfrm_stat. How packets meet them is hooks/xfrm's business.
//
// Keys: an association a = destination | SPI << 32, b = namespace | protocol << 24 | family << 32; a policy a = source |
// destination << 32, b = namespace | family << 32. Policies with the same addresses are chained, those of a higher priority
// (a lower number) first. IPv6 addresses are there by their numbers, which JavaScript has pinned.

import { Pool } from "../memory";
import { Index } from "./hash";
import { random } from "../random";
import { Namespace } from "../stack/namespace";

export const ESP: u32 = 50;

/** Transport mode alone is built; there is no anti-replay window (replay-window 0): what comes twice is taken twice. */
@unmanaged
export class Association {
  keyA: u64;
  keyB: u64;
  namespace: Namespace;
  /** Of the namespace, the newest first, as `ip xfrm state` lists them. */
  next: Association | null;
  /** Counts associations as they are made: JavaScript knows the cipher by it. */
  id: u32;
  source: u32;
  destination: u32;
  /** Its addresses are numbers of IPv6 addresses. */
  v6: u8;
  /** Network byte order, as loaded. */
  spi: u32;
  reqid: u32;
  /** AES-128 key, as its bytes lie, and salt. */
  key0: u32;
  key1: u32;
  key2: u32;
  key3: u32;
  salt: u32;
  /** The last sequence number sent. */
  sequence: u32;
  integrityFailed: u32;
  /** seqiv: the IV is the sequence number XOR this, as its bytes lie. */
  mask: u64;
  bytes: u64;
  packets: u64;
  added: u64;
  /** Time of the first packet, if there was one (use_time). */
  used: u64;
  /** Packets on their way through the cipher; taken out of the table, it lives until they are through. */
  held: u32;
  /** Those that wait for it (stack/ciphers), the first and the last; the next association that packets wait for. */
  waiting: usize;
  waitingLast: usize;
  waitingNext: Association | null;
  dead: u8;
  inUse: u8;
}

@unmanaged
export class Policy {
  keyA: u64;
  keyB: u64;
  namespace: Namespace;
  /** Of the namespace, the newest first, as `ip xfrm policy` lists them. */
  next: Policy | null;
  /** With the same addresses. */
  chained: Policy | null;
  source: u32;
  destination: u32;
  v6: u8;
  protocol: u32;
  /** Network byte order; 0: any. */
  port: u32;
  mark: u32;
  markMask: u32;
  priority: u32;
  /** The template: which association. SPI 0: any of that reqid. */
  spi: u32;
  reqid: u32;
  templateSource: u32;
  templateDestination: u32;
}

/** The lines of /proc/net/xfrm_stat, in their order (net/xfrm/xfrm_proc.c). */
export enum XfrmStat {
  XfrmInError,
  XfrmInBufferError,
  XfrmInHdrError,
  XfrmInNoStates,
  XfrmInStateProtoError,
  XfrmInStateModeError,
  XfrmInStateSeqError,
  XfrmInStateExpired,
  XfrmInStateMismatch,
  XfrmInStateInvalid,
  XfrmInTmplMismatch,
  XfrmInNoPols,
  XfrmInPolBlock,
  XfrmInPolError,
  XfrmOutError,
  XfrmOutBundleGenError,
  XfrmOutBundleCheckError,
  XfrmOutNoStates,
  XfrmOutStateProtoError,
  XfrmOutStateModeError,
  XfrmOutStateSeqError,
  XfrmOutStateExpired,
  XfrmOutPolBlock,
  XfrmOutPolDead,
  XfrmOutPolError,
  XfrmFwdHdrError,
  XfrmOutStateInvalid,
  XfrmAcquireError,
  COUNT,
}

const associations = new Index(64);
const associationPool = new Pool(offsetof<Association>(), 16);
const policies = new Index(64);
const policyPool = new Pool(offsetof<Policy>(), 16);
let lastId: u32 = 0;

// @ts-ignore: decorator
@inline
function placeOf(namespace: Namespace, v6: bool): u64 { return <u64>namespace.id | (<u64>v6 << 32); }

// @ts-ignore: decorator
@inline
export function findAssociation(namespace: Namespace, v6: bool, destination: u32, spi: u32): Association | null {
  const at = associations.find(<u64>destination | (<u64>spi << 32), placeOf(namespace, v6) | (<u64>ESP << 24));
  return changetype<Association | null>(at);
}

/** Null: there is one with that destination and SPI (EEXIST). The caller writes key and salt; between vectors only. */
export function addAssociation(namespace: Namespace, v6: bool, source: u32, destination: u32, spi: u32, reqid: u32, time: u64): Association | null {
  if (findAssociation(namespace, v6, destination, spi)) return null;
  associations.ensure(1);
  associationPool.ensure(1);
  const association = changetype<Association>(associationPool.take(offsetof<Association>()));
  association.keyA = <u64>destination | (<u64>spi << 32);
  association.keyB = placeOf(namespace, v6) | (<u64>ESP << 24);
  association.namespace = namespace;
  association.v6 = <u8>v6;
  association.id = ++lastId;
  association.source = source;
  association.destination = destination;
  association.spi = spi;
  association.reqid = reqid;
  association.mask = (<u64>random() << 32) | <u64>random();
  association.added = time;
  association.next = namespace.associations;
  namespace.associations = association;
  associations.insert(changetype<usize>(association));
  if (!namespace.xfrm) {
    namespace.xfrm = 1;
    statistics(namespace);
  }
  return association;
}

export function removeAssociation(association: Association): void {
  if (association.dead) return;
  associations.remove(changetype<usize>(association));
  const namespace = association.namespace;
  if (namespace.associations == association) namespace.associations = association.next;
  else {
    let at = namespace.associations!;
    while (at.next != association) at = at.next!;
    at.next = association.next;
  }
  association.dead = 1;
  if (!association.held) associationPool.give(changetype<usize>(association));
}

/** A packet meets it, whatever becomes of it (xfrm_state_check_expire). */
export function use(association: Association, time: u64): void {
  if (association.inUse) return;
  association.inUse = 1;
  association.used = time;
}

/** A packet is through the cipher. */
export function release(association: Association): void {
  association.held--;
  if (association.dead && !association.held) associationPool.give(changetype<usize>(association));
}

/** The association that a policy's template names (xfrm_state_find), or null. */
export function stateFor(policy: Policy): Association | null {
  const namespace = policy.namespace;
  if (policy.spi) {
    const found = findAssociation(namespace, policy.v6 != 0, policy.templateDestination, policy.spi);
    return found && suits(found, policy) ? found : null;
  }
  let at = namespace.associations;
  while (at && !suits(at, policy)) at = at.next;
  return at;
}

function suits(association: Association, policy: Policy): bool {
  return association.reqid == policy.reqid && association.v6 == policy.v6 && association.source == policy.templateSource &&
    association.destination == policy.templateDestination;
}

/** The outbound policy of a packet from `source` to `destination` (xfrm_policy_lookup), or null. */
export function findPolicy(namespace: Namespace, v6: bool, source: u32, destination: u32, protocol: u32, port: u32, mark: u32): Policy | null {
  let at = changetype<Policy | null>(policies.find(<u64>source | (<u64>destination << 32), placeOf(namespace, v6)));
  while (at) {
    const matches = (mark & at.markMask) == at.mark && (!at.protocol || at.protocol == protocol) && (!at.port || at.port == port);
    if (matches) return at;
    at = at.chained;
  }
  return null;
}

/** Made, or its template replaced where there is one with this selector and mark (XFRM_MSG_UPDPOLICY). */
export function setPolicy(
  namespace: Namespace, v6: bool, source: u32, destination: u32, protocol: u32, port: u32, mark: u32, markMask: u32, priority: u32,
  templateSource: u32, templateDestination: u32, spi: u32, reqid: u32,
): Policy {
  const first = changetype<Policy | null>(policies.find(<u64>source | (<u64>destination << 32), placeOf(namespace, v6)));
  let at = first;
  while (at && (at.protocol != protocol || at.port != port || at.mark != mark || at.markMask != markMask)) at = at.chained;
  // An update is a new policy in the old one's place, and lists first (xfrm_policy_insert).
  if (at) removePolicy(at);
  policies.ensure(1);
  policyPool.ensure(1);
  const policy = changetype<Policy>(policyPool.take(offsetof<Policy>()));
  policy.keyA = <u64>source | (<u64>destination << 32);
  policy.keyB = placeOf(namespace, v6);
  policy.namespace = namespace;
  policy.v6 = <u8>v6;
  policy.source = source;
  policy.destination = destination;
  policy.protocol = protocol;
  policy.port = port;
  policy.mark = mark;
  policy.markMask = markMask;
  policy.priority = priority;
  policy.templateSource = templateSource;
  policy.templateDestination = templateDestination;
  policy.spi = spi;
  policy.reqid = reqid;
  policy.next = namespace.policies;
  namespace.policies = policy;
  chain(policy);
  if (!namespace.xfrmStatistics) statistics(namespace);
  return policy;
}

/** Into the list of its addresses, behind those of the same priority. */
function chain(policy: Policy): void {
  const head = changetype<Policy | null>(policies.find(policy.keyA, policy.keyB));
  if (!head || policy.priority < head.priority) {
    if (head) policies.remove(changetype<usize>(head));
    policy.chained = head;
    policies.insert(changetype<usize>(policy));
    return;
  }
  let at = head;
  while (at.chained && at.chained!.priority <= policy.priority) at = at.chained!;
  policy.chained = at.chained;
  at.chained = policy;
}

export function removePolicy(policy: Policy): void {
  const head = changetype<Policy>(policies.find(policy.keyA, policy.keyB));
  if (head == policy) {
    policies.remove(changetype<usize>(policy));
    if (policy.chained) policies.insert(changetype<usize>(policy.chained));
  } else {
    let at = head;
    while (at.chained != policy) at = at.chained!;
    at.chained = policy.chained;
  }
  const namespace = policy.namespace;
  if (namespace.policies == policy) namespace.policies = policy.next;
  else {
    let at = namespace.policies!;
    while (at.next != policy) at = at.next!;
    at.next = policy.next;
  }
  policyPool.give(changetype<usize>(policy));
}

const statisticsPool = new Pool(<usize>XfrmStat.COUNT << 2, 16);

function statistics(namespace: Namespace): void {
  if (namespace.xfrmStatistics) return;
  statisticsPool.ensure(1);
  namespace.xfrmStatistics = statisticsPool.take(<usize>XfrmStat.COUNT << 2);
}

/** The namespace goes, and no packet of it waits. */
export function forgetXfrm(namespace: Namespace): void {
  while (namespace.associations) removeAssociation(namespace.associations!);
  while (namespace.policies) removePolicy(namespace.policies!);
  if (namespace.xfrmStatistics) statisticsPool.give(namespace.xfrmStatistics);
}

export function count(namespace: Namespace, what: XfrmStat): void {
  const at = namespace.xfrmStatistics + (<usize>what << 2);
  store<u32>(at, load<u32>(at) + 1);
}

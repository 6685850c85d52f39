// Walking rule chains of either family (ipt_do_table, ip6t_do_table): matches, jumps, returns, policies, counters; and the targets that need no NAT.

import { CT_ESTABLISHED, CT_INVALID, CT_NEW, CT_RELATED, CT_REPLY, Frame, IPVS_PROPERTY, SECPATH } from "../frame";
import { Device } from "../devices/device";
import { Namespace } from "../stack/namespace";
import * as ipv4 from "../wire/ipv4";
import { addressType } from "../tables/routes";
import {
  BPF, Chain, DESTINATION, DESTINATION_TYPE, DPORT, Hook, IN, IPVS, MARKED, OUT, POLICY, POLICY_IPSEC, POLICY_OUT, PROTOCOL, Rule, SOURCE, SOURCE_TYPE, SPORT, STATE,
  STATE_ESTABLISHED, STATE_INVALID, STATE_NEW, STATE_RELATED, STATE_UNTRACKED, Target, U32,
} from "../tables/rules";
import { sendError } from "../stack/icmp";
import { sendError6 } from "../stack/icmp6";
import { bpfMatches } from "./bpf";
import { headersMatch6 } from "./filter6";
import { natTarget } from "./nat";
import { u32Matches } from "./u32";
import { outboundPolicy, outboundPolicy6 } from "./xfrm";
import { beginMatch, steady } from "./steady";
import { counted, forget, isOutside, recording } from "../flowtable/recorder";
import { asksSender, differs } from "../flowtable/opening-recorder";
import { asksEnds } from "../flowtable/precedent-recorder";
import { note, Note } from "../capture/tap";

/** Jumps nest no deeper than this: iptables refuses loops when rules are loaded, we cut them here. */
const DEPTH: i32 = 32;
const stack: usize = memory.data(32 * sizeof<usize>());

/** Conditions on what the packet's own headers say. */
const HEADERS: u32 = SOURCE | DESTINATION | PROTOCOL | SPORT | DPORT | SOURCE_TYPE | DESTINATION_TYPE;
/** Matches that a flow need not be asked again: by tuple, device, mark and state, and by tables that say when they change. */
const ALWAYS: u32 = IN | OUT | SOURCE | DESTINATION | PROTOCOL | SPORT | DPORT | STATE | SOURCE_TYPE | DESTINATION_TYPE | IPVS | MARKED;
/** And these, by what they look at. */
const REPEATS: u32 = ALWAYS | POLICY | U32 | BPF;

/** True: the packet goes on. */
export function walk(chain: Chain, namespace: Namespace, frame: Frame, hook: Hook, device: Device | null, out: Device | null): bool {
  const ip = frame.data;
  const v6 = ipv4.version(ip) == 6;
  const length = <u64>(v6 ? frame.length : ipv4.totalLength(ip));
  let depth: i32 = 0;
  let rule = chain.first;
  while (true) {
    if (!rule) {
      // The end of a user chain returns to where it was called from; that of a base chain meets the policy.
      if (depth == 0) {
        chain.packets++;
        chain.bytes += length;
        if (recording) counted(frame, changetype<usize>(chain) + offsetof<Chain>("packets"), <u32>length);
        return chain.policy != Target.DROP;
      }
      rule = changetype<Rule>(load<usize>(stack + <usize>(--depth) * sizeof<usize>())).next;
      continue;
    }
    if (!matches(rule, namespace, frame, ip, v6, device, out)) {
      rule = rule.next;
      continue;
    }
    rule.packets++;
    rule.bytes += length;
    if (recording) counted(frame, changetype<usize>(rule) + offsetof<Rule>("packets"), <u32>length);
    switch (<i32>rule.target) {
      case Target.ACCEPT: return true;
      case Target.DROP: return false;
      case Target.RETURN: {
        if (depth == 0) {
          chain.packets++;
          chain.bytes += length;
          if (recording) counted(frame, changetype<usize>(chain) + offsetof<Chain>("packets"), <u32>length);
          return chain.policy != Target.DROP;
        }
        rule = changetype<Rule>(load<usize>(stack + <usize>(--depth) * sizeof<usize>())).next;
        continue;
      }
      case Target.JUMP: {
        if (depth < DEPTH && rule.jump) {
          store<usize>(stack + <usize>(depth++) * sizeof<usize>(), changetype<usize>(rule));
          rule = rule.jump!.first;
          continue;
        }
        break;
      }
      case Target.MARK: {
        const before = frame.mark;
        frame.mark = (before & ~rule.setMask) ^ rule.setMark;
        if (frame.mark != before) note(frame, Note.MARK, rule.id, before, 0, frame.mark, 0, device);
        break;
      }
      case Target.DNAT:
      case Target.REDIRECT:
      case Target.SNAT:
      case Target.MASQUERADE:
        return natTarget(rule, namespace, frame, hook, device, out);
      case Target.REJECT: {
        if (v6) sendError6(namespace, frame, frame.device ? frame.device : out, rule.rejectType, rule.rejectCode, 0);
        else sendError(namespace, frame, rule.rejectType, rule.rejectCode, 0);
        return false;
      }
      case Target.NONE: break;
      default: forget(frame); break;
    }
    rule = rule.next;
  }
}

function matches(rule: Rule, namespace: Namespace, frame: Frame, ip: usize, v6: bool, device: Device | null, out: Device | null): bool {
  const match = rule.match;
  if (!match) return true;
  const invert = rule.invert;
  if (match & IN && (rule.in == device) == ((invert & IN) != 0)) return false;
  if (match & OUT && (rule.out == out) == ((invert & OUT) != 0)) return false;
  if (match & STATE && ((stateOf(frame) & rule.states) != 0) == ((invert & STATE) != 0)) return false;
  if (match & IPVS && ((frame.flags & IPVS_PROPERTY) != 0) == ((invert & IPVS) != 0)) return false;
  if (v6) {
    if (match & HEADERS && !headersMatch6(rule, namespace, frame, match, invert)) return false;
  } else if (!headersMatch(rule, namespace, frame, ip, match, invert)) return false;
  if (match & ~ALWAYS && !looksCloser(rule, namespace, frame, ip, v6, match, invert)) return false;
  if (match & MARKED && ((frame.mark & rule.markMask) == rule.markValue) == ((invert & MARKED) != 0)) return false;
  return true;
}

/** Matches that few rules have: by IPsec's policy, by bytes. Of a tunnel's packet some bytes are its way's; any other's differ. */
function looksCloser(rule: Rule, namespace: Namespace, frame: Frame, ip: usize, v6: bool, match: u32, invert: u32): bool {
  if (recording && match & ~REPEATS) forget(frame);
  // What another's packet would be sent through is not known.
  if (recording && match & POLICY && rule.policy & POLICY_OUT && !isOutside()) differs(frame);
  if (match & POLICY && !policyMatches(rule, namespace, frame, v6)) return false;
  if (!(match & (U32 | BPF))) return true;
  beginMatch();
  let holds = !(match & U32) || u32Matches(rule.u32, ip, frame.length) != ((invert & U32) != 0);
  if (holds && match & BPF) holds = bpfMatches(rule.bpf, ip, frame.length);
  if (recording && !(steady && isOutside())) forget(frame);
  return holds;
}

/** What an IPv4 packet's own headers say. */
// @ts-ignore: decorator
@inline
function headersMatch(rule: Rule, namespace: Namespace, frame: Frame, ip: usize, match: u32, invert: u32): bool {
  if (match & PROTOCOL && (ipv4.protocol(ip) == <u32>rule.protocol) == ((invert & PROTOCOL) != 0)) return false;
  let ports: u32 = 0;
  if (match & (SPORT | DPORT)) {
    if (ipv4.flagsAndOffset(ip) & ipv4.OFFSET) return false;
    const l4 = ip + ipv4.headerLength(ip);
    if (l4 + 4 > frame.data + frame.length) return false;
    ports = load<u32>(l4);
  }
  if (recording && match & (SENDER | RECEIVER)) asksEnds(frame, namespace, ip, rule, ports);
  if (match & RECEIVER && !endMatches(rule, namespace, ipv4.destination(ip), ports >>> 16, false)) return false;
  // Of what concerns the sender last: what another's packet would not be asked either is no condition of the way's.
  if (recording && match & SENDER) asksSender(frame, namespace, ipv4.source(ip), rule);
  return !(match & SENDER) || endMatches(rule, namespace, ipv4.source(ip), ports & 0xffff, true);
}

/** What a rule says of its packet's sender, and of its receiver. */
export const SENDER: u32 = SOURCE | SPORT | SOURCE_TYPE;
export const RECEIVER: u32 = DESTINATION | DPORT | DESTINATION_TYPE;
/** Does an end of a packet, `sender` or receiver, with this address and port (as loaded) match? */
// @ts-ignore: decorator
@inline
export function endMatches(rule: Rule, namespace: Namespace, address: u32, port: u32, sender: bool): bool {
  const match = rule.match;
  const invert = rule.invert;
  if (sender) {
    if (match & SOURCE && ((address & rule.sourceMask) == rule.source) == ((invert & SOURCE) != 0)) return false;
    if (match & SPORT && !rule.sportMatches(port, invert)) return false;
    return !(match & SOURCE_TYPE) || (addressType(namespace, address) == <i32>rule.sourceType) != ((invert & SOURCE_TYPE) != 0);
  }
  if (match & DESTINATION && ((address & rule.destinationMask) == rule.destination) == ((invert & DESTINATION) != 0)) return false;
  if (match & DPORT && !rule.dportMatches(port, invert)) return false;
  return !(match & DESTINATION_TYPE) || (addressType(namespace, address) == <i32>rule.destinationType) != ((invert & DESTINATION_TYPE) != 0);
}

/** `-m policy`: has it come out of ESP, or will it go through it (xt_policy)? */
function policyMatches(rule: Rule, namespace: Namespace, frame: Frame, v6: bool): bool {
  const ipsec = rule.policy & POLICY_OUT ? (v6 ? outboundPolicy6(namespace, frame) : outboundPolicy(namespace, frame)) != null : (frame.flags & SECPATH) != 0;
  return ipsec == ((rule.policy & POLICY_IPSEC) != 0);
}

/** The bit of `--ctstate` (xt_conntrack). */
function stateOf(frame: Frame): u8 {
  const info = frame.connectionInfo;
  if (info == CT_INVALID) return STATE_INVALID;
  if (!frame.connection) return STATE_UNTRACKED;
  const kind = info >= CT_REPLY ? info - CT_REPLY : info;
  if (kind == CT_ESTABLISHED) return STATE_ESTABLISHED;
  if (kind == CT_RELATED) return STATE_RELATED;
  if (kind == CT_NEW) return STATE_NEW;
  return STATE_UNTRACKED;
}

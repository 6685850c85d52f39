/**
 * What lies behind type, code and checksum of an ICMPv6 message: errors (RFC 4443), neighbour discovery with its options
 * (RFC 4861), multicast listeners (RFC 2710, RFC 3810).
 */

import { u16, u32 } from './layers.js';
import { hex, hexNumber, ipv6, mac } from './notation.js';
import { type Found, hex8, hex16, hex32, number8, number16, number32, raw, type Shape, taken } from './shape.js';

const TOO_BIG = 2;
const PARAMETER_PROBLEM = 4;
const ECHO_REQUEST = 128;
const ECHO_REPLY = 129;
const LISTENER_QUERY = 130;
const LISTENER_DONE = 132;
const ROUTER_SOLICITATION = 133;
const ROUTER_ADVERTISEMENT = 134;
const NEIGHBOUR_SOLICITATION = 135;
const NEIGHBOUR_ADVERTISEMENT = 136;
const LISTENER_REPORT_2 = 143;

const bit = (shift: number) => (bytes: Uint8Array, at: number) => String(((bytes[at] ?? 0) >> shift) & 1);

const ECHO: readonly Shape[] = [
  ['icmpv6.echo.identifier', 4, 2, number16],
  ['icmpv6.echo.sequence_number', 6, 2, number16],
];
const LISTENER: readonly Shape[] = [
  ['icmpv6.mld.maximum_response_delay', 4, 2, number16],
  ['icmpv6.mld.reserved', 6, 2, hex16],
];
const RESERVED: readonly Shape[] = [['icmpv6.reserved', 4, 4, hex32]];

/** The second four bytes of the header, by its type. */
const RESTS: Readonly<Record<number, readonly Shape[]>> = {
  [TOO_BIG]: [['icmpv6.mtu', 4, 4, number32]],
  [PARAMETER_PROBLEM]: [['icmpv6.pointer', 4, 4, number32]],
  [ECHO_REQUEST]: ECHO,
  [ECHO_REPLY]: ECHO,
  [LISTENER_QUERY]: LISTENER,
  131: LISTENER,
  [LISTENER_DONE]: LISTENER,
  [ROUTER_ADVERTISEMENT]: [
    ['icmpv6.nd.ra.cur_hop_limit', 4, 1, number8],
    ['icmpv6.nd.ra.flag', 5, 1, hex8],
    ['icmpv6.nd.ra.router_lifetime', 6, 2, number16],
  ],
  [NEIGHBOUR_ADVERTISEMENT]: [
    ['icmpv6.nd.na.flag.r', 4, 1, bit(7)],
    ['icmpv6.nd.na.flag.s', 4, 1, bit(6)],
    ['icmpv6.nd.na.flag.o', 4, 1, bit(5)],
    ['icmpv6.nd.na.flag.rsv', 4, 4, (bytes, at) => hexNumber(u32(bytes, at) & 0x1fffffff, 8)],
  ],
  [LISTENER_REPORT_2]: [
    ['icmpv6.reserved', 4, 2, hex16],
    ['icmpv6.mldr.nb_mcast_records', 6, 2, number16],
  ],
};

const TIMERS: readonly Shape[] = [
  ['icmpv6.nd.ra.reachable_time', 0, 4, number32],
  ['icmpv6.nd.ra.retrans_timer', 4, 4, number32],
];
const NS_TARGET: readonly Shape[] = [['icmpv6.nd.ns.target_address', 0, 16, ipv6]];
const NA_TARGET: readonly Shape[] = [['icmpv6.nd.na.target_address', 0, 16, ipv6]];
const GROUP: readonly Shape[] = [['icmpv6.mld.multicast_address', 0, 16, ipv6]];
const QUERY_2: readonly Shape[] = [
  ['icmpv6.mld.flag', 0, 1, hex8],
  ['icmpv6.mld.qqi', 1, 1, number8],
  ['icmpv6.mld.nb_sources', 2, 2, number16],
];
const SOURCE: readonly Shape[] = [['icmpv6.mld.source_address', 0, 16, ipv6]];
const RECORD: readonly Shape[] = [
  ['icmpv6.mldr.mar.record_type', 0, 1, number8],
  ['icmpv6.mldr.mar.aux_data_len', 1, 1, number8],
  ['icmpv6.mldr.mar.nb_sources', 2, 2, number16],
  ['icmpv6.mldr.mar.multicast_address', 4, 16, ipv6],
];
const RECORD_SOURCE: readonly Shape[] = [['icmpv6.mldr.mar.source_address', 0, 16, ipv6]];
const OPTION: readonly Shape[] = [
  ['icmpv6.opt.type', 0, 1, number8],
  ['icmpv6.opt.length', 1, 1, (bytes, at) => String((bytes[at] ?? 0) * 8)],
];
/** By type: options of eight bytes. */
const OPTIONS: Readonly<Record<number, readonly Shape[]>> = {
  1: [['icmpv6.opt.src_linkaddr', 2, 6, mac]],
  2: [['icmpv6.opt.target_linkaddr', 2, 6, mac]],
  5: [
    ['icmpv6.opt.reserved', 2, 2, hex16],
    ['icmpv6.opt.mtu', 4, 4, number32],
  ],
  14: [['icmpv6.opt.nonce', 2, 6, (bytes, at) => hex(bytes.subarray(at, at + 6))]],
};

/** All names that fields of these messages can have. */
export const ICMPV6_NAMES: readonly string[] = [
  ...[RESERVED, TIMERS, NS_TARGET, NA_TARGET, GROUP, QUERY_2, SOURCE, RECORD, RECORD_SOURCE, OPTION],
  ...Object.values(RESTS),
  ...Object.values(OPTIONS),
]
  .flat()
  .map(([name]) => name)
  .concat('icmpv6.opt', 'icmpv6.mldr.mar.auxiliary_data');

export function* icmpv6Rest(bytes: Uint8Array, start: number): Generator<Found> {
  yield* taken(RESTS[bytes[start] ?? 0] ?? RESERVED, bytes, start);
}

/** What follows the header of a message of that type, from `start` to `end`; bytes that mean nothing are `data.data`. */
export function* icmpv6Body(bytes: Uint8Array, type: number, start: number, end: number): Generator<Found> {
  const body = new Body(bytes, start, end);
  switch (type) {
    case LISTENER_QUERY:
    case 131:
    case LISTENER_DONE:
      yield* body.take(GROUP);
      if (type === LISTENER_QUERY) yield* body.sources(QUERY_2, SOURCE);
      break;
    case ROUTER_SOLICITATION:
      yield* body.options();
      break;
    case ROUTER_ADVERTISEMENT:
      yield* body.take(TIMERS);
      yield* body.options();
      break;
    case NEIGHBOUR_SOLICITATION:
    case NEIGHBOUR_ADVERTISEMENT:
      yield* body.take(type === NEIGHBOUR_SOLICITATION ? NS_TARGET : NA_TARGET);
      yield* body.options();
      break;
    case LISTENER_REPORT_2:
      yield* body.records();
      break;
    default:
  }
  yield* raw('data.data', body.at, end);
}

class Body {
  constructor(
    readonly bytes: Uint8Array,
    public at: number,
    readonly end: number,
  ) {}

  /** One table's fields, if there is room for all of them. */
  *take(shapes: readonly Shape[]): Generator<Found> {
    const size = Math.max(...shapes.map(([, at, bytes]) => at + bytes));
    if (this.at + size > this.end) return;
    yield* taken(shapes, this.bytes, this.at);
    this.at += size;
  }

  *options(): Generator<Found> {
    while (this.at + 8 <= this.end) {
      const length = (this.bytes[this.at + 1] ?? 0) * 8;
      if (length === 0 || this.at + length > this.end) return;
      yield* taken(OPTION, this.bytes, this.at);
      const known = length === 8 ? OPTIONS[this.bytes[this.at] ?? 0] : undefined;
      if (known) yield* taken(known, this.bytes, this.at);
      else yield* raw('icmpv6.opt', this.at + 2, this.at + length);
      this.at += length;
    }
  }

  /** A table whose last two bytes count addresses. */
  *sources(shapes: readonly Shape[], source: readonly Shape[]): Generator<Found> {
    const before = this.at;
    yield* this.take(shapes);
    if (this.at === before) return;
    for (let left = u16(this.bytes, before + 2); left > 0 && this.at + 16 <= this.end; left -= 1)
      yield* this.take(source);
  }

  *records(): Generator<Found> {
    while (this.at + 20 <= this.end) {
      const auxiliary = (this.bytes[this.at + 1] ?? 0) * 4;
      yield* this.sources(RECORD, RECORD_SOURCE);
      const until = Math.min(this.at + auxiliary, this.end);
      yield* raw('icmpv6.mldr.mar.auxiliary_data', this.at, until);
      this.at = until;
    }
  }
}

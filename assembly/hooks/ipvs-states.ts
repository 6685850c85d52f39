// IPVS's states and timers (ip_vs_proto_tcp.c, ip_vs_proto_udp.c), and which connections count as active.

import * as ipv4 from "../wire/ipv4";
import * as tcp from "../wire/tcp";
import { BalancedConnection } from "../tables/services";

const SECOND: u64 = 1_000_000_000;
export enum State { NONE, ESTABLISHED, SYN_SENT, SYN_RECV, FIN_WAIT, TIME_WAIT, CLOSE, CLOSE_WAIT, LAST_ACK, LISTEN, SYNACK, UDP }

/** Seconds, by state (tcp_timeouts, udp_timeouts). */
const TIMEOUTS: usize = memory.data<u16>([2, 900, 120, 60, 120, 120, 10, 60, 30, 120, 120, 300]);

// Next state by direction (in, out), event (syn, fin, ack, rst) and state, as ip_vs_proto_tcp.c's tcp_states has them:
//            NONE EST SSENT SRECV FINW TIMEW CLOSE CLOSEW LASTACK LISTEN SYNACK
const NEXT: usize = memory.data<u8>([
  /* in  syn */ 3, 1, 1, 3, 3, 3, 3, 3, 3, 3, 3,
  /* in  fin */ 6, 7, 2, 5, 5, 5, 6, 7, 8, 9, 5,
  /* in  ack */ 1, 1, 2, 1, 4, 5, 6, 7, 6, 9, 1,
  /* in  rst */ 6, 6, 6, 3, 6, 6, 6, 6, 8, 9, 3,
  /* out syn */ 2, 1, 2, 3, 2, 2, 2, 2, 2, 9, 3,
  /* out fin */ 5, 4, 2, 5, 4, 5, 6, 5, 8, 9, 5,
  /* out ack */ 1, 1, 2, 1, 4, 5, 6, 7, 8, 1, 1,
  /* out rst */ 6, 6, 2, 6, 6, 5, 6, 6, 6, 6, 6,
]);

/** State and timeout (set_tcp_state, udp_state_transition). */
// @ts-ignore: decorator
@inline
export function advance(connection: BalancedConnection, protocol: u32, out: u32, l4: usize, time: u64): void {
  if (protocol == ipv4.UDP) {
    connection.state = <u8>State.UDP;
    // A clock does not go back (hooks/conntrack-udp).
    connection.deadline = max(connection.deadline, time + <u64>load<u16>(TIMEOUTS + 2 * State.UDP) * SECOND);
    return;
  }
  const flags = tcp.flags(l4);
  const event: u32 = flags & tcp.RST ? 3 : flags & tcp.SYN ? 0 : flags & tcp.FIN ? 1 : flags & tcp.ACK ? 2 : 4;
  if (event < 4) connection.state = load<u8>(NEXT + <usize>((out * 4 + event) * 11 + <u32>connection.state));
  connection.deadline = time + <u64>load<u16>(TIMEOUTS + 2 * <usize>connection.state) * SECOND;
}

/** Would an ACK of either end, or a datagram, leave it as it is, but for its time? */
export function steady(connection: BalancedConnection, protocol: u32): bool {
  if (protocol == ipv4.UDP) return connection.state == <u8>State.UDP;
  return connection.state == <u8>State.ESTABLISHED && connection.counted != 0;
}
/** How long it lasts then. */
export function steadyTimeout(protocol: u32): u64 {
  return <u64>load<u16>(TIMEOUTS + 2 * <usize>(protocol == ipv4.UDP ? State.UDP : State.ESTABLISHED)) * SECOND;
}

/** Active means ESTABLISHED; everything else is inactive. */
// @ts-ignore: decorator
@inline
export function touch(connection: BalancedConnection): void {
  const destination = connection.destination;
  const active = connection.state == <u8>State.ESTABLISHED;
  if (connection.counted && !active) {
    destination.active--;
    destination.inactive++;
    connection.counted = 0;
  } else if (!connection.counted && active) {
    destination.inactive--;
    destination.active++;
    connection.counted = 1;
  }
}

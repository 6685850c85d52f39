// Actions: what JavaScript wants a connection to do, each at a time of its own.

import { Pool } from "../memory";
import { Event, now, schedule } from "../clock/queue";
import { Of } from "../tables/generation";
import { Socket, socketById } from "./sockets";
import { tcpAction } from "./tcp";

export enum Ask {
  /** TCP: bytes up to `value` may go. */
  RELEASE,
  CONNECT,
  /** No more writing: a FIN follows the data. */
  SHUTDOWN,
  /** Neither writing nor reading. */
  CLOSE,
  ABORT,
  PAUSE,
  RESUME,
  /** An ICMP error ends the attempt to connect: `value` = Failure. */
  FAIL,
}

@unmanaged
class Action {
  kind: u32;
  /** A socket's id: the socket may be gone when the time comes. */
  target: u32;
  /** What the kind says. */
  value: u32;
}
const actions = new Pool(offsetof<Action>(), 256, Of.TRAFFIC);

export function ensureActions(): void { actions.ensure(1024); }

/** False: no record is free before the next `ensureSockets`. */
export function ask(kind: Ask, socket: Socket, value: u32, time: u64): bool {
  const at = actions.take(offsetof<Action>());
  if (!at) return false;
  const action = changetype<Action>(at);
  action.kind = kind;
  action.target = socket.id;
  action.value = value;
  schedule(max(time, now), Event.ACTION, at, 0);
  return true;
}

/** For the run loop: `Event.ACTION`. */
export function runAction(at: usize): void {
  const action = changetype<Action>(at);
  const kind = action.kind;
  const value = action.value;
  const socket = socketById(action.target);
  actions.give(at);
  if (socket) tcpAction(socket, kind, value);
}

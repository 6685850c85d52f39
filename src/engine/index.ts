export { Destination, Ipvs, VirtualService } from './balancer.js';
export { type ConnectionEntry, connectionsOf, type Tuple } from './connections.js';
export type { Denial, DenialSpec } from './denial.js';
export { Device, type DeviceKind } from './device.js';
export { type Account, Engine, type EngineOptions, Segment } from './engine.js';
export { Load, type LoadBooks, type LoadCount, type LoadOptions, type LoadSource } from './load.js';
export {
  type IpvlanFlagName,
  type IpvlanModeName,
  type MacvlanModeName,
  Namespace,
  type NeighbourEntry,
} from './namespace.js';
export type { Punted } from './punts.js';
export type { RouteEntry } from './routes.js';
export type { InterfaceName } from './rule-interfaces.js';
export {
  Chain,
  type HookName,
  Iptables,
  Rule,
  type RuleMatch,
  type RuleSpec,
  type State,
  type Table,
} from './rules.js';
export {
  type Datagram,
  type EchoError,
  type EchoReply,
  type Failure,
  type Listener,
  type SocketEntry,
  Sockets,
  type TcpConnection,
  type UdpSocket,
} from './sockets.js';
export { Association, type AssociationSpec, type PolicySpec, Xfrm } from './xfrm.js';

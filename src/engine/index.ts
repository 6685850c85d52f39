export { type Account, Engine, type EngineOptions, Segment } from './engine.js';
export { Device, type DeviceKind } from './device.js';
export { Namespace, type NeighbourEntry, type RouteEntry } from './namespace.js';
export { Chain, Iptables, Rule, type HookName, type RuleSpec, type State, type Table } from './rules.js';
export { Destination, Ipvs, VirtualService } from './balancer.js';
export type { Punted } from './punts.js';

// What JavaScript may call: a table of contents. Addresses of records are handles; times are ns since the run's start,
// as f64 where JavaScript gives them. Addresses and ports in arguments are in network byte order.

import { arena } from "./memory";
import { framesInFlight } from "./frame";
import { account } from "./drops";
import { reseedSecret, seed as seedRandom } from "./random";
import { Namespace } from "./stack/namespace";
import { Device, newDevice, setHopDelay as hop } from "./devices/device";
import { setEpoch as epoch, setTracing as tracing } from "./capture/tap";
import { now, setNow } from "./clock/queue";
import { runUntil } from "./clock/run";
import { STATIC, setEntry } from "./tables/fdb";
import { setNeighbour as putNeighbour, setNeighbour6 as putNeighbour6 } from "./tables/neighbours";
import { Chain } from "./tables/rules";
import { setBaseChain as putBaseChain } from "./stack/namespace";
import { liveConnections } from "./tables/connections";
import { portSearches } from "./hooks/nat";
import { missed as missedFrames, captured as capturedFrames } from "./capture/tap";
import { setServiceDelay as serviceDelay } from "./stack/punts";
import { tcpClose as closeTcp, tcpConnect as connectTcp, tcpConnect6 as connectTcp6, tcpListen as listenTcp, tcpListen6 as listenTcp6, tcpWrite as writeTcp, tcpAbort as abortTcp, tcpPause as pauseTcp, tcpResume as resumeTcp, tcpShutdown as shutdownTcp } from "./stack/tcp";
import { udpSend as sendUdp } from "./stack/udp";
import { pingSend as sendPing } from "./stack/echo";
import { pingSend6 as sendPing6 } from "./stack/echo6";

// Time and chance
export function seed(low: u32, high: u32): void {
  seedRandom(<u64>low | (<u64>high << 32));
  reseedSecret();
}
export function run(until: f64): u32 { return runUntil(<u64>until); }
export function time(): f64 { return <f64>now; }
export function advanceTo(t: f64): void { setNow(<u64>t); }
export function setHopDelay(ns: f64): void { hop(<u64>ns); }

// Namespaces, devices, segments
export { newNamespace } from "./stack/namespace";
export { newSegment, plugIn } from "./devices/physical";
export { allow, deny } from "./devices/denials";
export { announce } from "./stack/arp";
export { addTunnel, openTunnels, openVxlan, removeTunnel } from "./devices/vxlan";
export { moveDevice, removeDevice, removeNamespace, removePort } from "./clock/removal";
export { sweep as collect } from "./clock/sweep";
export { openVlan } from "./devices/vlan";
export { openMacvlan } from "./devices/macvlan";
export { addIpvlanAddress, openIpvlan, removeIpvlanAddress } from "./devices/ipvlan";
export function addDevice(namespace: Namespace, kind: u32): Device { return newDevice(namespace, kind); }

// Tables
export { addRoute, removeRoute } from "./tables/routes";
export { addRoute6, removeRoute6 } from "./tables/routes6";
export { pinAddress } from "./tables/addresses6";
export { addAddress6, removeAddress6 } from "./tables/interfaces6";
export { comeUp as comeUp6 } from "./stack/start6";
export { forgetNeighbour as removeNeighbour } from "./stack/neighbour";
export { findNeighbour, findNeighbour6, neighbourAt, neighbourSlots } from "./tables/neighbours";
export { fdbAt, fdbSlots, removeEntry as removeFdb } from "./tables/fdb";
export { linkRule, newChain, newRule, removeChain, unlinkRule } from "./tables/rules";
export { connectionAt, connectionSlots, forgetConnections, removeConnection as forgetConnection } from "./tables/connections";
export { clearConnectionEvents, connectionEventAt, connectionEvents, connectionEventsMissed, watchConnections } from "./tables/events";
export { addDestination, addService, balancedAt, balancedSlots } from "./tables/services";
export function setNeighbour(device: Device, address: u32, macLow: u32, macHigh: u32, state: u32): usize {
  return changetype<usize>(putNeighbour(device, address, <u64>macLow | (<u64>macHigh << 32), state, now));
}
/** `address`: the number of an IPv6 address, as all of those below with a 6. */
export function setNeighbour6(device: Device, address: u32, macLow: u32, macHigh: u32, state: u32): usize {
  return changetype<usize>(putNeighbour6(device, address, <u64>macLow | (<u64>macHigh << 32), state, now));
}
/** `owner`: id of a bridge, a segment or a vxlan device. */
export function setFdb(owner: u32, macLow: u32, macHigh: u32, port: Device | null, remote: u32, flags: u32): usize {
  return changetype<usize>(setEntry(owner, <u64>macLow | (<u64>macHigh << 32), port, remote, flags, now));
}
export function setBaseChain(namespace: Namespace, table: u32, hook: u32, chain: Chain): void { putBaseChain(namespace, table, hook, chain); }
export const FDB_STATIC: u32 = STATIC;

export { addAssociation, removeAssociation, removePolicy, setPolicy } from "./tables/xfrm";
export { nextCiphers, streamsAt, streamsLength } from "./stack/ciphers";
export { productsAt, takeProducts } from "./stack/gcm";

export { withdrawDestination, withdrawService } from "./hooks/ipvs-scheduling";

export { sourceFor } from "./stack/output";
export { sourceFor6 } from "./stack/output6";

// Frames in
export { inboxAt, injectReceive, injectSocket, injectSocket6, injectTransmit, receiveBatch } from "./inbox";
/** Memory for JavaScript's own; what lies behind its last frame may be read as headers are looked for. */
export function scratch(bytes: u32): usize { return arena(bytes + 128); }

// Sockets
export { udpOpen, udpOpen6, udpClose, udpConnect } from "./stack/udp";
export {
  foreignSocket, socketAddress, socketPort, socketProtocol, socketRemoteAddress, socketRemotePort, socketState, socketTtl,
} from "./stack/sockets";
export function tcpListen(namespace: Namespace, address: u32, port: u32): u32 { return listenTcp(namespace, address, port); }
export function tcpConnect(namespace: Namespace, destination: u32, port: u32, t: f64): u32 { return connectTcp(namespace, destination, port, 0, 0, <u64>t); }
export function tcpListen6(namespace: Namespace, address: u32, port: u32): u32 { return listenTcp6(namespace, address, port); }
export function tcpConnect6(namespace: Namespace, destination: u32, port: u32, t: f64): u32 { return connectTcp6(namespace, destination, port, 0, 0, <u64>t); }
export function tcpWrite(socket: u32, at: usize, length: u32, t: f64): u32 { return writeTcp(socket, at, length, <u64>t); }
export function tcpClose(socket: u32, t: f64): void { closeTcp(socket, <u64>t); }
export function tcpShutdown(socket: u32, t: f64): void { shutdownTcp(socket, <u64>t); }
export function tcpPause(socket: u32, t: f64): void { pauseTcp(socket, <u64>t); }
export function tcpResume(socket: u32, t: f64): void { resumeTcp(socket, <u64>t); }
export function tcpAbort(socket: u32, t: f64): void { abortTcp(socket, <u64>t); }
export function udpSend(socket: u32, destination: u32, port: u32, at: usize, length: u32, t: f64): u32 { return sendUdp(socket, destination, port, at, length, <u64>t); }
export function pingSend(namespace: Namespace, source: u32, destination: u32, identifier: u32, sequence: u32, size: u32, ttl: u32, t: f64): bool {
  return sendPing(namespace, source, destination, identifier, sequence, size, <u64>t, ttl);
}
export function pingSend6(namespace: Namespace, destination: u32, device: Device | null, identifier: u32, sequence: u32, size: u32, t: f64): bool {
  return sendPing6(namespace, destination, device, identifier, sequence, size, <u64>t);
}
export { clearPunts, puntsAt, puntsLength } from "./stack/punts";
export function setServiceDelay(ns: f64): void { serviceDelay(<u64>ns); }

// Flows
export { setFlowTable } from "./flowtable/forward";
export { fastPackets, settle } from "./flowtable/track";
export { flows } from "./flowtable/flows";
export { openings } from "./flowtable/openings";
export { followed } from "./flowtable/follow";
export { openedByExample } from "./flowtable/open";
export { precedents } from "./flowtable/precedents";
export { changed as tablesChanged } from "./tables/generation";

// Loads
export { addLoadSource, addLoadSource6 } from "./load/flows";
export { addLoadSize, endLoad, newLoad, startLoad } from "./load/generator";
export { firstReceiver, loadAt, lossesAt } from "./load/load";
export { setShard } from "./load/shards";

// Captures
export { captureAt, captureLength, clearCapture, openCapture } from "./capture/tap";
export { lateRecords, orderCapture, orderedAt, orderedRecords, recordsAt } from "./capture/order";
export function setEpoch(low: u32, high: u32): void { epoch(<u64>low | (<u64>high << 32)); }
export function setTracing(on: bool): void { tracing(on); }

// Accounts
export function made(): u32 { return account.made; }
export function injected(): u32 { return account.injected; }
export function generated(): u32 { return account.generated; }
export function cloned(): u32 { return account.cloned; }
export function delivered(): u32 { return account.delivered; }
export function dropped(): u32 { return account.dropped; }
export function inFlight(): u32 { return framesInFlight(); }
export function connections(): u32 { return liveConnections; }
export function natPortSearches(): u32 { return portSearches; }
export function missed(): u32 { return missedFrames; }
export function captured(): f64 { return <f64>capturedFrames; }

// Records in use, by table: what was added and taken away again leaves no trace here
export { liveNamespaces } from "./stack/namespace";
export { lateDrops, liveDevices } from "./devices/device";
export { liveRoutes } from "./tables/routes";
export { liveNeighbours } from "./tables/neighbours";
export { liveEntries } from "./tables/fdb";
export { liveChains, liveRules } from "./tables/rules";
export { liveBalanced, liveDestinations, liveServices } from "./tables/services";
export { liveSockets } from "./stack/sockets";

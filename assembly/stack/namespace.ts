// A network namespace (struct net): its devices, its sysctls, the chains of its hooks. All other tables are shared by
// every namespace and carry its id in their keys.

import { Pool } from "../memory";
import { changed } from "../tables/generation";
import { BASE_CHAINS, Chain } from "../tables/rules";
import { giveLengths6 } from "../tables/routes6";
import { Device, Kind, newDevice } from "../devices/device";
import { Association, Policy } from "../tables/xfrm";
import { LoadReceiver } from "../load/load";

@unmanaged
export class Namespace {
  /** 1 and up; 24 bits at the most, since table keys hold it. */
  id: u32;
  /** net.ipv4.ip_forward */
  forward: u8;
  /** Conntrack hooks are registered: a nat rule or a state match asked for them. */
  conntrack: u8;
  /**
   * IPVS has a service here; net.ipv4.vs.conntrack, .expire_nodest_conn, .conn_reuse_mode. Of the last only mode 0 is
   * built: a connection is reused whatever its state. A reply is always routed again (.snat_reroute).
   */
  ipvs: u8;
  ipvsConntrack: u8;
  ipvsExpireNodest: u8;
  ipvsReuseMode: u8;
  /** net.bridge.bridge-nf-call-iptables */
  bridgeNetfilter: u8;
  /** A replay's sender: makes no ARP, echo reply, error or reset of its own; a packet that waits for a neighbour waits on. */
  silent: u8;
  /** A replay's sender: asks for a neighbour once; repeated requests and probes hang on random timers and are injected. */
  askOnce: u8;
  connections: u32;
  /** net.netfilter.nf_conntrack_max */
  connectionsMax: u32;
  /** A bit for each address in the local table, by its hash: most others are known to be none of them (tables/routes). */
  ownAddresses: u64;
  /** vxlan devices whose UDP socket lives here. */
  vxlans: u32;
  /** Base chains: mangle, nat, filter, raw, then IPv6's four, × PREROUTING … POSTROUTING. */
  chains: usize;
  /** Prefix lengths in use, a bit each, of the local and the main table. */
  localPrefixes: u64;
  mainPrefixes: u64;
  devices: Device | null;
  lastDevice: Device | null;
  /** Taken away: what is left of it goes, its record last (clock/removal). */
  dead: u8;
  /** Among the dead. */
  next: Namespace | null;
  /** Packets of its sockets in the event queue. */
  pending: u32;
  loopback: Device;
  /** net.ipv4.ip_local_port_range */
  portMin: u32;
  portMax: u32;
  /** ESP has a receiver here: an association was made. */
  xfrm: u8;
  associations: Association | null;
  policies: Policy | null;
  /** u32 a line of /proc/net/xfrm_stat. */
  xfrmStatistics: usize;
  /** net.ipv6.conf.all.forwarding */
  forward6: u8;
  /** Conntrack's IPv6 hooks are registered. */
  conntrack6: u8;
  /** net.bridge.bridge-nf-call-ip6tables */
  bridgeNetfilter6: u8;
  /** Prefix lengths of its IPv6 routes (tables/routes6), or 0. */
  lengths6: usize;
  /** Its place in the books of load number `loadEpoch` (assembly/load). */
  receiver: LoadReceiver | null;
  loadEpoch: u32;
}

/** A record and its base chains, a multiple of a cache line. */
const SIZE: usize = (offsetof<Namespace>() + BASE_CHAINS * sizeof<usize>() + 63) & ~63;
const namespaces = new Pool(SIZE, 32);
let lastId: u32 = 0;

export function newNamespace(): Namespace {
  namespaces.ensure(1);
  const at = namespaces.take(SIZE);
  const namespace = changetype<Namespace>(at);
  // An id is never used twice: keys of tables hold it.
  namespace.id = ++lastId;
  namespace.chains = at + offsetof<Namespace>();
  namespace.portMin = 32768;
  namespace.portMax = 60999;
  namespace.connectionsMax = 262144;
  namespace.ipvsReuseMode = 1;
  const loopback = newDevice(namespace, Kind.LOOPBACK);
  loopback.mtu = 65536;
  namespace.loopback = loopback;
  return namespace;
}

/** Only when nothing points to it any more. */
export function giveNamespace(namespace: Namespace): void {
  giveLengths6(namespace);
  namespaces.give(changetype<usize>(namespace));
}
export function liveNamespaces(): u32 { return namespaces.used; }

// @ts-ignore: decorator
@inline
export function baseChain(namespace: Namespace, table: u32, hook: u32): Chain | null {
  return changetype<Chain | null>(load<usize>(namespace.chains + <usize>(table * 5 + hook) * sizeof<usize>()));
}
export function setBaseChain(namespace: Namespace, table: u32, hook: u32, chain: Chain): void {
  changed();
  store<usize>(namespace.chains + <usize>(table * 5 + hook) * sizeof<usize>(), changetype<usize>(chain));
}

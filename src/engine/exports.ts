/** The engine's raw exports, as assembly/index.ts lists them. Addresses of records are numbers. */
export interface EngineExports extends Record<string, unknown> {
  memory: WebAssembly.Memory;
  seed(low: number, high: number): void;
  run(until: number): number;
  time(): number;
  advanceTo(time: number): void;
  setHopDelay(ns: number): void;
  newLoad(
    protocol: number,
    packets: number,
    perSecond: number,
    inBits: boolean,
    poisson: boolean,
    answered: boolean,
  ): void;
  addLoadSize(size: number, weight: number): number;
  addLoadSource(ns: number, first: number, count: number, destination: number, port: number): number;
  addLoadSource6(ns: number, address: number, destination: number, port: number): number;
  startLoad(flows: number, time: number): number;
  endLoad(): void;
  loadAt(): number;
  lossesAt(): number;
  firstReceiver(): number;
  /** This engine is number `index` of `count` that share a load. */
  setShard(index: number, count: number): void;
  /** Flows of established connections: 1 on, 0 off. */
  setFlowTable(on: number): void;
  flows(): number;
  /** Openings of new connections. */
  openings(): number;
  precedents(): number;
  followed(): number;
  openedByExample(): number;
  fastPackets(): number;
  settle(): void;
  tablesChanged(): void;
  newNamespace(): number;
  addDevice(namespace: number, kind: number): number;
  removeDevice(device: number): void;
  moveDevice(device: number, namespace: number): void;
  removePort(device: number): void;
  removeNamespace(namespace: number): void;
  collect(): void;
  newSegment(latency: bigint): number;
  plugIn(segment: number, device: number): void;
  deny(to: number, from: number, protocol: number, port: number): number;
  allow(to: number, denial: number): void;
  openVxlan(device: number, underlay: number, vni: number, port: number, v6: boolean): void;
  openTunnels(device: number, underlay: number, port: number): void;
  addTunnel(device: number, remote: number, vniOut: number, vniIn: number): void;
  removeTunnel(device: number, remote: number): void;
  announce(device: number, address: number, time: bigint): void;
  openVlan(device: number, lower: number, id: number): void;
  openMacvlan(device: number, lower: number, mode: number): void;
  openIpvlan(device: number, lower: number, mode: number, flags: number): void;
  addIpvlanAddress(device: number, address: number, v6: boolean): number;
  removeIpvlanAddress(device: number, address: number, v6: boolean): void;
  addRoute(
    ns: number,
    table: number,
    destination: number,
    length: number,
    type: number,
    device: number,
    gateway: number,
    source: number,
    metric: number,
  ): number;
  removeRoute(route: number): void;
  pinAddress(a: number, b: number, c: number, d: number): number;
  addAddress6(device: number, address: number, length: number, flags: number): number;
  removeAddress6(device: number, entry: number): void;
  addRoute6(
    ns: number,
    table: number,
    destination: number,
    length: number,
    type: number,
    device: number,
    gateway: number,
    source: number,
    metric: number,
  ): number;
  removeRoute6(route: number): void;
  comeUp6(device: number): void;
  setNeighbour6(device: number, address: number, macLow: number, macHigh: number, state: number): number;
  sourceFor6(ns: number, destination: number, device: number): number;
  injectSocket6(ns: number, device: number, length: number, time: number): number;
  udpOpen6(ns: number, address: number, port: number): number;
  tcpListen6(ns: number, address: number, port: number): number;
  tcpConnect6(ns: number, destination: number, port: number, time: number): number;
  pingSend6(
    ns: number,
    destination: number,
    device: number,
    identifier: number,
    sequence: number,
    size: number,
    time: number,
  ): number;
  setNeighbour(device: number, address: number, macLow: number, macHigh: number, state: number): number;
  removeNeighbour(neighbour: number): void;
  findNeighbour(device: number, address: number): number;
  findNeighbour6(device: number, address: number): number;
  neighbourAt(slot: number): number;
  neighbourSlots(): number;
  setFdb(owner: number, macLow: number, macHigh: number, port: number, remote: number, flags: number): number;
  removeFdb(owner: number, mac: bigint): number;
  fdbAt(slot: number): number;
  fdbSlots(): number;
  newChain(policy: number): number;
  newRule(): number;
  linkRule(chain: number, rule: number, position: number): void;
  unlinkRule(rule: number): void;
  removeChain(chain: number): void;
  setBaseChain(ns: number, table: number, hook: number, chain: number): void;
  connectionAt(slot: number): number;
  connectionSlots(): number;
  forgetConnection(connection: number): void;
  forgetConnections(ns: number, address: number, port: number, v6: number): number;
  addService(namespaceId: number, protocol: number, addressOrMark: number, port: number): number;
  withdrawService(ns: number, service: number): void;
  addDestination(service: number, address: number, port: number, weight: number): number;
  addAssociation(
    ns: number,
    v6: boolean,
    source: number,
    destination: number,
    spi: number,
    reqid: number,
    time: bigint,
  ): number;
  removeAssociation(association: number): void;
  setPolicy(
    ns: number,
    v6: boolean,
    source: number,
    destination: number,
    protocol: number,
    port: number,
    mark: number,
    markMask: number,
    priority: number,
    templateSource: number,
    templateDestination: number,
    spi: number,
    reqid: number,
  ): number;
  removePolicy(policy: number): void;
  nextCiphers(): number;
  streamsAt(): number;
  streamsLength(): number;
  productsAt(): number;
  takeProducts(): void;
  withdrawDestination(ns: number, destination: number): void;
  balancedAt(slot: number): number;
  balancedSlots(): number;
  sourceFor(ns: number, destination: number): number;
  inboxAt(): number;
  injectTransmit(device: number, length: number, time: number): number;
  injectReceive(device: number, length: number, time: number): number;
  injectSocket(
    ns: number,
    length: number,
    source: number,
    sport: number,
    destination: number,
    dport: number,
    time: number,
  ): number;
  receiveBatch(device: number, frames: number, lengths: number, stride: number, count: number): number;
  scratch(bytes: number): number;
  udpOpen(ns: number, address: number, port: number): number;
  udpSend(socket: number, destination: number, port: number, at: number, length: number, time: number): number;
  udpConnect(socket: number, destination: number, port: number): number;
  udpClose(socket: number): void;
  tcpListen(ns: number, address: number, port: number): number;
  tcpConnect(ns: number, destination: number, port: number, time: number): number;
  tcpWrite(socket: number, at: number, length: number, time: number): number;
  tcpClose(socket: number, time: number): void;
  tcpShutdown(socket: number, time: number): void;
  tcpPause(socket: number, time: number): void;
  tcpResume(socket: number, time: number): void;
  tcpAbort(socket: number, time: number): void;
  foreignSocket(
    ns: number,
    protocol: number,
    local: number,
    localPort: number,
    remote: number,
    remotePort: number,
  ): number;
  socketAddress(socket: number): number;
  socketPort(socket: number): number;
  socketProtocol(socket: number): number;
  socketRemoteAddress(socket: number): number;
  socketRemotePort(socket: number): number;
  socketState(socket: number): number;
  socketTtl(socket: number, ttl: number): void;
  pingSend(
    ns: number,
    source: number,
    destination: number,
    identifier: number,
    sequence: number,
    size: number,
    ttl: number,
    time: number,
  ): number;
  puntsAt(): number;
  puntsLength(): number;
  clearPunts(): void;
  setServiceDelay(ns: number): void;
  openCapture(bytes: number): void;
  captureAt(): number;
  captureLength(): number;
  clearCapture(): void;
  orderCapture(all: number): number;
  orderedAt(): number;
  orderedRecords(): number;
  lateRecords(): number;
  recordsAt(tap: number): number;
  setEpoch(low: number, high: number): void;
  setTracing(on: number): void;
  made(): number;
  injected(): number;
  generated(): number;
  cloned(): number;
  delivered(): number;
  dropped(): number;
  inFlight(): number;
  connections(): number;
  natPortSearches(): number;
  missed(): number;
  captured(): number;
  lateDrops(): number;
  liveNamespaces(): number;
  liveDevices(): number;
  liveRoutes(): number;
  liveNeighbours(): number;
  liveEntries(): number;
  liveChains(): number;
  liveRules(): number;
  liveServices(): number;
  liveDestinations(): number;
  liveBalanced(): number;
  liveSockets(): number;
}

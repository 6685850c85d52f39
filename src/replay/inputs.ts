/**
 * `inputs.json` of a recorded scenario: what an operator chose and what the real system drew, which frames endpoints sent of
 * their own accord, and what had been learned before the first frame. It holds no rules, routes or tables: those are what a
 * replay tests. The schema asks for what a replay cannot do without and lets unknown fields pass, so that a recording made
 * with a newer tool can be read.
 */

import * as v from 'valibot';

/** The file is not what it should be; the message names the path of the first thing that is wrong. */
export class InputsError extends Error {
  override name = 'InputsError';
}

const text = v.string();
const texts = v.array(v.string());
const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const integer = v.pipe(v.number(), v.integer());
/** Null where the recording found nothing; left out where older recordings do not say. */
const maybe = <S extends v.GenericSchema>(schema: S) => v.nullish(schema);

/** Nanoseconds since 1970: beyond 2^53, so it comes as digits (see `parseExact`). */
const instant = v.pipe(
  v.union([v.pipe(text, v.regex(/^\d+$/, 'Invalid time: expected nanoseconds since 1970')), count]),
  v.transform((value) => BigInt(value)),
);

/** `"1,3,5-6"` → the frame numbers, from 1. */
const frameNumbers = v.pipe(
  text,
  v.regex(/^(\d{1,7}(-\d{1,7})?(,\d{1,7}(-\d{1,7})?)*)?$/, 'Invalid ranges: expected something like 1,3,5-6'),
  v.transform(expandRanges),
);

const commandSchema = v.looseObject({ where: text, command: text });

const nodeSchema = v.looseObject({
  name: text,
  role: maybe(text),
  swarmId: maybe(text),
  hostname: text,
  interface: text,
  address: text,
  mac: text,
  mtu: count,
  gateway: maybe(text),
  resolvers: v.optional(texts, []),
});

const outsideSchema = v.looseObject({
  name: text,
  interfaces: v.array(
    v.looseObject({ name: text, mac: text, mtu: count, addresses: v.optional(texts, []), vlan: v.optional(count) }),
  ),
  extraAddresses: v.optional(texts, []),
  forwards: v.optional(v.boolean(), false),
  resolves: v.optional(v.record(text, text), {}),
  otherNames: maybe(text),
  routes: v.optional(texts, []),
});

const underlaySchema = v.looseObject({
  kind: text,
  ports: v.array(v.looseObject({ bridge: text, port: text, mac: text })),
  mtu: count,
});

const networkOnNodeSchema = v.looseObject({
  id: text,
  subnets: v.optional(v.array(v.nullable(text)), []),
  gateway: v.optional(v.array(v.nullable(text)), []),
  bridge: maybe(text),
  bridgeMac: maybe(text),
  namespace: maybe(text),
  vxlan: maybe(text),
  vxlanMac: maybe(text),
  vxlanPort: maybe(count),
  mtu: maybe(count),
  /** False: the node knows the network but has no overlay namespace for it. */
  here: v.optional(v.boolean(), true),
});

/** A list, or the words "per node": then each node's entry has its own. */
const perNode = v.union([v.array(v.nullable(text)), v.literal('per node')]);

const networkSchema = v.looseObject({
  name: text,
  id: text,
  driver: text,
  scope: text,
  subnets: maybe(perNode),
  gateway: maybe(perNode),
  vni: maybe(count),
  options: v.optional(v.record(text, text), {}),
  ingress: v.optional(v.boolean(), false),
  attachable: v.optional(v.boolean(), false),
  internal: v.optional(v.boolean(), false),
  ipv6: v.optional(v.boolean(), false),
  encrypted: v.optional(v.boolean(), false),
  createdBy: v.optional(text),
  nodes: v.record(text, networkOnNodeSchema),
});

const balancerSchema = v.looseObject({
  node: text,
  network: text,
  namespace: text,
  mark: maybe(count),
  scheduler: maybe(text),
  /** In the kernel's order; left out where the balancer has none. */
  destinations: v.optional(texts, []),
  orderFrom: maybe(text),
  added: maybe(texts),
  weights: v.optional(v.record(text, count)),
  firstPick: maybe(text),
  picksFollowList: maybe(v.boolean()),
});

const serviceSchema = v.looseObject({
  name: text,
  id: text,
  networks: v.optional(texts, []),
  mode: maybe(text),
  replicas: maybe(count),
  endpointMode: v.optional(text, 'vip'),
  ports: v.optional(
    v.array(
      v.looseObject({
        published: maybe(count),
        target: count,
        protocol: v.optional(text, 'tcp'),
        mode: v.optional(text, 'ingress'),
      }),
    ),
    [],
  ),
  vips: v.optional(v.record(text, maybe(text)), {}),
  constraints: v.optional(texts, []),
  image: maybe(text),
  args: maybe(texts),
  environment: v.optional(texts, []),
  dns: maybe(v.looseObject({})),
  balancers: v.optional(v.array(balancerSchema), []),
  createdBy: v.optional(text),
});

const endpointSchema = v.looseObject({
  interface: maybe(text),
  address: maybe(text),
  address6: v.optional(text),
  mac: maybe(text),
  endpoint: maybe(text),
  aliases: v.optional(texts, []),
  addressGiven: v.optional(v.boolean(), false),
});

const sandboxEntries = {
  name: text,
  node: text,
  hostname: maybe(text),
  namespace: maybe(text),
  sandbox: maybe(text),
  image: maybe(text),
  command: maybe(texts),
  environment: v.optional(texts, []),
  networks: v.optional(v.record(text, endpointSchema), {}),
  ports: v.optional(v.array(v.looseObject({ container: text, host: text })), []),
  dns: maybe(v.looseObject({})),
  started: maybe(v.number()),
  startedLater: v.optional(v.boolean(), false),
  inferred: v.optional(v.boolean(), false),
};

const taskSchema = v.looseObject({
  ...sandboxEntries,
  service: maybe(text),
  slot: maybe(text),
  id: maybe(text),
  container: maybe(text),
});

const containerSchema = v.looseObject({
  ...sandboxEntries,
  id: text,
  networkMode: maybe(text),
  createdBy: v.optional(text),
});

const loadBalancerSchema = v.looseObject({
  node: text,
  network: text,
  namespace: text,
  endpoints: v.record(text, endpointSchema),
});

const deviceSchema = v.looseObject({
  name: text,
  kind: text,
  mac: maybe(text),
  mtu: maybe(count),
  index: maybe(count),
  addresses: v.optional(texts, []),
  master: v.optional(text),
  /** Number of the port on its bridge: the order of joining. */
  port: maybe(count),
  hairpin: v.optional(v.boolean(), false),
  /** `namespace/device`. */
  peer: v.optional(text),
  lower: v.optional(text),
  vni: v.optional(count),
  dstport: v.optional(count),
  vid: v.optional(count),
  mode: v.optional(text),
  up: v.optional(v.boolean(), true),
  carrier: v.optional(v.boolean(), true),
  inferred: v.optional(v.boolean(), false),
  startedLater: v.optional(v.boolean(), false),
});

const resolverSchema = v.looseObject({
  address: text,
  udp: maybe(count),
  tcp: maybe(count),
  upstreams: v.optional(texts, []),
});

const encryptionSchema = v.looseObject({
  algorithm: maybe(text),
  networks: v.optional(texts, []),
  keys: v.array(v.looseObject({ key: text, tag: maybe(count), primary: v.boolean() })),
  associations: v.record(
    text,
    v.array(
      v.looseObject({
        src: text,
        dst: text,
        spi: text,
        key: text,
        icvBits: count,
        sends: v.boolean(),
        firstSequence: v.optional(count),
      }),
    ),
  ),
});

const atStartSchema = v.looseObject({
  /** Device → MAC → address. */
  neighbours: v.optional(v.record(text, v.record(text, text)), {}),
  /** Bridge → what it had learned (MAC → where), and what it must not have known, because frames to it were flooded. */
  fdb: v.optional(
    v.record(text, v.looseObject({ known: v.optional(v.record(text, text), {}), unknown: v.optional(texts, []) })),
    {},
  ),
});

const captureSchema = v.looseObject({
  pcap: text,
  namespace: text,
  device: text,
  frames: count,
  first: maybe(integer),
  last: maybe(integer),
  transmitted: frameNumbers,
  received: frameNumbers,
  directionFrom: maybe(text),
  overwritten: v.optional(frameNumbers, ''),
});

const stimulusFields = v.looseObject({
  /** Nanoseconds after `start`. */
  time: integer,
  pcap: text,
  /** From 1. */
  frame: v.pipe(count, v.minValue(1)),
  class: v.picklist(['application', 'stack-reply', 'arp-request', 'stack-own']),
  kind: text,
  /** Offset of a fragment in its datagram. */
  fragment: v.optional(count),
  by: v.optional(text),
  socket: v.optional(v.looseObject({ source: text, destination: text })),
  sender: v.optional(text),
  overwritten: v.optional(v.boolean(), false),
});

/** What a socket is bound to, or sends to. */
export interface SocketAddress {
  address: string;
  /** ICMP has none. */
  port?: number;
}

/** `10.0.0.11:80`, `2001:db8::2:80` (the port after the last colon); for ICMP the address alone. */
function socketAddress(written: string, kind: string): SocketAddress {
  const colon = written.lastIndexOf(':');
  if (colon < 0 || kind.startsWith('icmp')) return { address: written };
  return { address: written.slice(0, colon), port: Number(written.slice(colon + 1)) };
}

const stimulusSchema = v.pipe(
  stimulusFields,
  v.transform(({ socket, ...rest }) => ({
    ...rest,
    ...(socket === undefined
      ? {}
      : {
          socket: {
            source: socketAddress(socket.source, rest.kind),
            destination: socketAddress(socket.destination, rest.kind),
          },
        }),
  })),
);

const inputsSchema = v.looseObject({
  scenario: text,
  engine: text,
  kernel: maybe(text),
  proxy: v.optional(v.boolean(), true),
  swarm: v.optional(v.boolean(), false),
  commands: v.optional(v.array(commandSchema), []),
  /** Namespace → key → value: those neither at the kernel's default nor set by Docker. */
  sysctls: v.optional(v.record(text, v.record(text, text)), {}),
  nodes: v.array(nodeSchema),
  outside: v.optional(v.array(outsideSchema), []),
  underlay: v.optional(underlaySchema),
  networks: v.optional(v.array(networkSchema), []),
  services: v.optional(v.array(serviceSchema), []),
  tasks: v.optional(v.array(taskSchema), []),
  containers: v.optional(v.array(containerSchema), []),
  loadBalancers: v.optional(v.array(loadBalancerSchema), []),
  /** Snapshot → mark → destinations in order (with ` weight N` where it is not 1). */
  later: v.optional(v.record(text, v.record(text, texts)), {}),
  devices: v.optional(v.record(text, v.array(deviceSchema)), {}),
  resolver: v.optional(v.record(text, resolverSchema), {}),
  encryption: v.optional(encryptionSchema),
  unlisted: v.optional(
    v.array(
      v.looseObject({
        mac: text,
        addresses: v.optional(texts, []),
        node: maybe(text),
        seenAt: maybe(text),
        first: maybe(integer),
      }),
    ),
    [],
  ),
  atStart: v.optional(atStartSchema, {}),
  start: instant,
  captures: v.array(captureSchema),
  /** `namespace.device` of captures that ran and saw nothing. */
  emptyCaptures: v.optional(texts, []),
  stimulus: v.array(stimulusSchema),
});

export type Inputs = v.InferOutput<typeof inputsSchema>;
export type NodeInput = Inputs['nodes'][number];
export type OutsideInput = Inputs['outside'][number];
export type NetworkInput = Inputs['networks'][number];
export type ServiceInput = Inputs['services'][number];
export type BalancerInput = ServiceInput['balancers'][number];
export type TaskInput = Inputs['tasks'][number];
export type ContainerInput = Inputs['containers'][number];
export type EndpointInput = TaskInput['networks'][string];
export type LoadBalancerInput = Inputs['loadBalancers'][number];
export type DeviceInput = Inputs['devices'][string][number];
export type CaptureInput = Inputs['captures'][number];
export type StimulusInput = Inputs['stimulus'][number];

/** Reads `inputs.json`. Throws `InputsError`, which names the path of what is wrong (`captures[3].frames`). */
export function readInputs(json: string): Inputs {
  let value: unknown;
  try {
    value = parseExact(json);
  } catch (error) {
    throw new InputsError(`inputs.json is no JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  const result = v.safeParse(inputsSchema, value);
  if (result.success) return result.output;
  const first = result.issues[0];
  const others = result.issues.length - 1;
  throw new InputsError(
    `inputs.json: ${pathOf(first)}: ${first.message}${others > 0 ? ` (and ${others} more like it)` : ''}`,
  );
}

function pathOf(issue: v.BaseIssue<unknown>): string {
  let path = '';
  for (const { key } of issue.path ?? []) {
    if (typeof key === 'number') path += `[${key}]`;
    else path += path === '' ? String(key) : `.${String(key)}`;
  }
  return path === '' ? 'the file' : path;
}

/**
 * JSON.parse turns integers beyond 2^53 into something else, and a time in nanoseconds since 1970 is one: such integers are
 * handed over as strings of digits. (JSON.parse with source text would do it, but Node 20 does not have it.)
 */
function parseExact(json: string): unknown {
  return JSON.parse(
    json.replace(/"(?:[^"\\]|\\.)*"|-?\d{16,}(?![\d.eE])/g, (token) => (token.startsWith('"') ? token : `"${token}"`)),
  );
}

function expandRanges(ranges: string): ReadonlySet<number> {
  const numbers = new Set<number>();
  if (ranges === '') return numbers;
  for (const range of ranges.split(',')) {
    const [first = 0, last = first] = range.split('-').map(Number);
    for (let number = first; number <= last; number += 1) numbers.add(number);
  }
  return numbers;
}

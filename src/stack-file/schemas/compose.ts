/**
 * The shape of a stack file, as a JSON schema (draft 7), after the Compose Specification
 * (https://github.com/compose-spec/compose-spec, spec.md, deploy.md, build.md) and the Compose file format 3 of `docker stack deploy`.
 *
 * Written here rather than taken over, for the sake of the messages: a key that may be text or a map has one schema with both
 * types instead of a `oneOf`, so one mistake makes one error at the place of the mistake. What has no bearing on networks
 * (build, develop, models …) is described loosely. `hint` is a keyword of ours: what to write instead;
 * `keyHint` says the same of a key.
 */
import type { SchemaObject } from 'ajv';

type Properties = Record<string, SchemaObject>;

/** A map with these keys, extensions and no others. */
function map(properties: Properties, more: SchemaObject = {}): SchemaObject {
  return { type: 'object', properties, patternProperties: { '^x-': {} }, additionalProperties: false, ...more };
}

/** The same, for what may also be left empty. */
function mapOrNothing(properties: Properties, more: SchemaObject = {}): SchemaObject {
  return map(properties, { type: ['object', 'null'], ...more });
}

function list(items: SchemaObject, more: SchemaObject = {}): SchemaObject {
  return { type: 'array', items, ...more };
}

/** A map whose keys its author chooses. */
function named(values: SchemaObject, more: SchemaObject = {}): SchemaObject {
  return {
    type: ['object', 'null'],
    patternProperties: { '^x-': {}, '^(?!x-)[a-zA-Z0-9._-]+$': values },
    additionalProperties: false,
    keyHint: 'a name is made of letters, digits, ".", "_" and "-"',
    ...more,
  };
}

function oneOf(...values: string[]): SchemaObject {
  return { type: 'string', enum: values };
}

const anything: SchemaObject = {};
const text: SchemaObject = { type: 'string' };
const amount: SchemaObject = { type: ['string', 'number'] };
const flag: SchemaObject = {
  type: ['boolean', 'string'],
  pattern: '^(true|false|yes|no|on|off|y|n|1|0|)$',
  hint: 'write true or false',
};
const count: SchemaObject = {
  type: ['integer', 'string'],
  minimum: 0,
  pattern: '^[0-9]{1,9}$',
  hint: 'write a whole number',
};
const texts = list(text);
const textOrTexts: SchemaObject = { type: ['string', 'array'], items: text };
const command: SchemaObject = { type: ['string', 'array', 'null'], items: text };
const looseMap: SchemaObject = { type: ['object', 'null'] };

/** `KEY=value` as a list, or as a map. */
export const settings: SchemaObject = {
  type: ['object', 'array'],
  additionalProperties: { type: ['string', 'number', 'boolean', 'null'] },
  items: { type: ['string', 'number', 'boolean', 'null'] },
  hint: 'write a list of KEY=value, or a map',
};

const extraHosts: SchemaObject = {
  type: ['object', 'array'],
  additionalProperties: { type: ['string', 'array'], items: text },
  items: text,
  hint: 'write a list of "name:address", or a map',
};

const healthcheck = mapOrNothing({
  disable: flag,
  interval: text,
  retries: amount,
  test: { type: ['string', 'array'], items: text },
  timeout: text,
  start_period: text,
  start_interval: text,
});

const updateConfig = mapOrNothing({
  parallelism: count,
  delay: text,
  failure_action: text,
  monitor: text,
  max_failure_ratio: amount,
  order: oneOf('start-first', 'stop-first'),
});

const genericResources = list(map({ discrete_resource_spec: map({ kind: text, value: amount }) }));

const deploy = mapOrNothing({
  mode: oneOf('replicated', 'global', 'replicated-job', 'global-job'),
  replicas: count,
  endpoint_mode: oneOf('vip', 'dnsrr'),
  labels: settings,
  update_config: updateConfig,
  rollback_config: updateConfig,
  resources: mapOrNothing({
    limits: mapOrNothing({ cpus: amount, memory: amount, pids: amount }),
    reservations: mapOrNothing({
      cpus: amount,
      memory: amount,
      generic_resources: genericResources,
      devices: list(looseMap),
    }),
  }),
  restart_policy: mapOrNothing({ condition: text, delay: text, max_attempts: amount, window: text }),
  placement: mapOrNothing({
    constraints: list(text, { hint: 'write a list: - node.role == worker' }),
    preferences: list(map({ spread: text })),
    max_replicas_per_node: count,
  }),
});

const serviceNetwork = mapOrNothing({
  aliases: texts,
  interface_name: text,
  ipv4_address: text,
  ipv6_address: text,
  link_local_ips: texts,
  mac_address: text,
  driver_opts: settings,
  gw_priority: amount,
  priority: amount,
});

export const port: SchemaObject = map(
  {
    name: text,
    mode: oneOf('ingress', 'host'),
    host_ip: text,
    target: { type: ['integer', 'string'], hint: 'the port inside the container, 1 to 65535' },
    published: { type: ['integer', 'string'], hint: 'the port on every node, 1 to 65535, or a range "8080-8081"' },
    protocol: text,
    app_protocol: text,
  },
  {
    type: ['string', 'number', 'object'],
    required: ['target'],
    hint: 'write "8080:80", or a map with target and published',
  },
);

/** `secrets` and `configs` of a service. */
const grants = list(
  map({ source: text, target: text, uid: amount, gid: amount, mode: amount }, { type: ['string', 'object'] }),
);

const volumes = list(
  map(
    {
      type: text,
      source: text,
      target: text,
      read_only: flag,
      consistency: text,
      bind: looseMap,
      volume: looseMap,
      tmpfs: looseMap,
      image: looseMap,
      cluster: looseMap,
    },
    { type: ['string', 'object'] },
  ),
);

const service = map(
  {
    annotations: settings,
    attach: flag,
    blkio_config: looseMap,
    build: { type: ['string', 'object'] },
    cap_add: texts,
    cap_drop: texts,
    cgroup: text,
    cgroup_parent: text,
    cgroupns_mode: text,
    command,
    configs: grants,
    container_name: text,
    cpu_count: amount,
    cpu_percent: amount,
    cpu_period: amount,
    cpu_quota: amount,
    cpu_rt_period: amount,
    cpu_rt_runtime: amount,
    cpu_shares: amount,
    cpus: amount,
    cpuset: text,
    credential_spec: looseMap,
    depends_on: {
      type: ['array', 'object'],
      items: text,
      additionalProperties: mapOrNothing({ condition: text, required: flag, restart: flag }),
    },
    deploy,
    develop: looseMap,
    device_cgroup_rules: texts,
    devices: list({ type: ['string', 'object'] }),
    dns: textOrTexts,
    dns_opt: texts,
    dns_search: textOrTexts,
    domainname: text,
    entrypoint: command,
    env_file: { type: ['string', 'array'], items: { type: ['string', 'object'] } },
    environment: settings,
    expose: list(amount),
    extends: { type: ['string', 'object'] },
    external_links: texts,
    extra_hosts: extraHosts,
    gpus: { type: ['string', 'array'] },
    group_add: list(amount),
    healthcheck,
    hostname: text,
    image: text,
    init: flag,
    ipc: text,
    isolation: text,
    label_file: textOrTexts,
    labels: settings,
    links: texts,
    logging: mapOrNothing({ driver: text, options: looseMap }),
    mac_address: text,
    mem_limit: amount,
    mem_reservation: amount,
    mem_swappiness: amount,
    memswap_limit: amount,
    models: { type: ['array', 'object'] },
    network_mode: text,
    networks: {
      type: ['array', 'object', 'null'],
      items: text,
      additionalProperties: serviceNetwork,
      hint: 'write a list of names: - backend',
    },
    oom_kill_disable: flag,
    oom_score_adj: amount,
    pid: { type: ['string', 'null'] },
    pids_limit: amount,
    platform: text,
    ports: list(port, { hint: 'write a list: - "8080:80"' }),
    post_start: list(looseMap),
    pre_stop: list(looseMap),
    privileged: flag,
    profiles: texts,
    provider: looseMap,
    pull_policy: text,
    pull_refresh_after: text,
    read_only: flag,
    restart: text,
    runtime: text,
    scale: count,
    secrets: grants,
    security_opt: texts,
    shm_size: amount,
    stdin_open: flag,
    stop_grace_period: text,
    stop_signal: text,
    storage_opt: looseMap,
    sysctls: settings,
    tmpfs: textOrTexts,
    tty: flag,
    ulimits: { type: 'object', additionalProperties: { type: ['integer', 'string', 'object'] } },
    use_api_socket: flag,
    user: amount,
    userns_mode: text,
    uts: text,
    volume_driver: text,
    volumes,
    volumes_from: texts,
    working_dir: text,
  },
  { hint: 'a service is a map of keys such as image, networks and ports' },
);

/** `external: true`, or the older `external: {name: …}`. */
const external = map({ name: text }, { type: ['boolean', 'string', 'object'] });

/** What a network is made with, whatever its driver. */
const made = {
  name: text,
  driver_opts: { type: ['object', 'null'], additionalProperties: { type: ['string', 'number', 'boolean', 'null'] } },
  ipam: mapOrNothing({
    driver: text,
    config: list(
      map({
        subnet: text,
        gateway: text,
        ip_range: text,
        aux_addresses: { type: 'object', additionalProperties: text },
      }),
      { hint: 'write a list: - subnet: 10.1.0.0/24' },
    ),
    options: looseMap,
  }),
};

/** `docker network create --ingress`: the network of the routing mesh. */
export const ingressSchema = map(made, { hint: 'write a map: ingress: { driver_opts: { encrypted: "" } }' });

const network = mapOrNothing({
  ...made,
  driver: text,
  attachable: flag,
  enable_ipv4: flag,
  enable_ipv6: flag,
  external,
  internal: flag,
  labels: settings,
});

const volume = mapOrNothing({ name: text, driver: text, driver_opts: looseMap, external, labels: settings });

/** `secrets` and `configs` at the top. */
const deposit = mapOrNothing({
  name: text,
  file: text,
  content: text,
  environment: text,
  external,
  labels: settings,
  driver: text,
  driver_opts: looseMap,
  template_driver: text,
});

export const composeSchema: SchemaObject = {
  $schema: 'http://json-schema.org/draft-07/schema#',
  ...map({
    version: { type: ['string', 'number'] },
    name: text,
    include: anything,
    services: named(service, { hint: 'services is a map from names to services' }),
    networks: named(network),
    volumes: named(volume),
    secrets: named(deposit),
    configs: named(deposit),
    models: looseMap,
  }),
};

/**
 * The shape of the `x-swarmwire` section: the machines around a stack, and what is said over its networks.
 */
import type { SchemaObject } from 'ajv';
import { MOST_NODES } from '../section.js';
import { ingressSchema, port, settings } from './compose.js';
import { at, map, number, text, textOrTexts, texts } from './parts.js';
import { traffic } from './traffic.js';

const mac: SchemaObject = {
  type: 'string',
  pattern: '^[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}$',
  hint: 'a MAC address is written 02:42:0a:00:00:02',
};
const mtu: SchemaObject = { type: 'integer', minimum: 576, maximum: 65535 };
const address: SchemaObject = {
  type: 'string',
  hint: 'an address is written with its prefix length: 192.168.99.110/24',
};

const labels: SchemaObject = { type: 'object', additionalProperties: { type: ['string', 'number', 'boolean'] } };
const driver_opts: SchemaObject = {
  type: 'object',
  additionalProperties: { type: ['string', 'number', 'boolean', 'null'] },
};
const interfaces: SchemaObject = {
  type: 'object',
  patternProperties: {
    '^[a-zA-Z][a-zA-Z0-9]{0,14}$': map({ address, mac, mtu, segment: text }, { required: ['address'] }),
  },
  additionalProperties: false,
  keyHint: 'an interface is named like eth1',
  hint: 'write a map from a name to an interface: eth1: { address: 10.99.0.110/24 }',
};
const docker_gwbridge = map({ subnet: text, gateway: text, driver_opts });
/** Its keys are dockerd's business: topology/daemon.ts. */
const daemon: SchemaObject = { type: 'object', hint: 'write it as the file has it: daemon: { mtu: 1400 }' };
const address6: SchemaObject = {
  type: 'string',
  hint: 'an IPv6 address is written with its prefix length: 2001:db8::110/64',
};
const host = { address, address6, mac, mtu };
const addresses: SchemaObject = { type: 'array', items: address };
const extra_addresses = addresses;
/** `docker network create --config-only`: what a network has of its own on one node. */
const configs: SchemaObject = {
  type: 'object',
  additionalProperties: map({
    parent: text,
    subnet: text,
    gateway: text,
    ip_range: text,
    aux_addresses: { type: 'object', additionalProperties: text },
  }),
  hint: 'write a map from a network to what it has of its own on this node: lan: { ip_range: 192.168.86.128/26 }',
};
const vlans: SchemaObject = {
  type: 'object',
  patternProperties: { '^[1-9][0-9]{0,3}$': { type: ['string', 'array'], items: address } },
  additionalProperties: false,
  keyHint: 'a VLAN has a number from 1 to 4094',
  hint: 'write a map from a VLAN to an address on it: 50: 192.168.50.1/24',
};
const routes: SchemaObject = {
  type: 'object',
  additionalProperties: text,
  hint: 'write a map from a subnet to a gateway: 192.168.214.0/24: 192.168.99.110',
};

const extraHosts: SchemaObject = {
  type: ['object', 'array'],
  additionalProperties: { type: ['string', 'array'], items: text },
  items: text,
  hint: 'write a list of "name:address", or a map',
};
/** A DNS server's names. */
const resolves: SchemaObject = {
  type: 'object',
  additionalProperties: { type: ['string', 'array'], items: text },
  hint: 'write a map from a name to its address: www.example.com: 203.0.113.10',
};

/** `docker run`, in Compose's words. */
const container = map({
  node: text,
  image: text,
  networks: {
    type: ['array', 'object'],
    items: text,
    additionalProperties: map(
      {
        aliases: texts,
        ipv4_address: text,
        ipv6_address: text,
        link_local_ips: texts,
        mac_address: mac,
        priority: { type: 'integer' },
        gw_priority: { type: 'integer' },
      },
      { type: ['object', 'null'] },
    ),
    hint: 'write a list of names: - alpine-net',
  },
  network_mode: text,
  mac_address: mac,
  ports: { type: 'array', items: port, hint: 'write a list: - "8000:80"' },
  restart: { type: ['string', 'boolean'], hint: 'write no, always, unless-stopped or on-failure:3' },
  sysctls: settings,
  expose: { type: 'array', items: { type: ['string', 'number'] } },
  links: { ...texts, hint: 'write a list: - "db:database"' },
  dns: textOrTexts,
  dns_search: textOrTexts,
  dns_opt: texts,
  extra_hosts: extraHosts,
  hostname: text,
  domainname: text,
});

/** Frames that do not get from node to node. */
const firewallPorts: SchemaObject = {
  type: ['integer', 'string', 'array'],
  items: { type: ['integer', 'string'] },
  hint: 'write a list: block: [2377/tcp, 7946, 4789/udp, esp]',
};
const firewallNodes = { between: { ...texts, minItems: 2 }, from: textOrTexts, to: textOrTexts };

export const swarmwireSchema: SchemaObject = map({
  engine: { type: ['string', 'number'], hint: 'write engine: "28"' },
  nodes: {
    type: ['integer', 'array'],
    minimum: 1,
    maximum: MOST_NODES,
    minItems: 1,
    maxItems: MOST_NODES,
    items: map(
      {
        name: text,
        role: { type: 'string', enum: ['manager', 'worker'] },
        labels,
        ipv6: { type: 'boolean' },
        networks: configs,
        daemon,
        interfaces,
        advertise_addr: text,
        data_path_addr: text,
        docker_gwbridge,
        ...host,
        resolvers: texts,
        search: texts,
      },
      { type: ['string', 'object'] },
    ),
    hint: 'write how many (nodes: 3), or a list of names or maps',
  },
  client: map({ ...host, addresses, vlans, routes, extra_addresses, resolves }),
  ingress: ingressSchema,
  swarm: {
    type: ['boolean', 'object'],
    properties: {
      data_path_port: number(1024, 49151),
      default_addr_pool: { type: ['string', 'array'], items: text },
      default_addr_pool_mask_length: number(1, 30),
    },
    additionalProperties: false,
    hint: 'false: the nodes are no swarm; or the options of docker swarm init: swarm: { data_path_port: 5789 }',
  },
  'control-plane': { type: 'boolean', hint: 'true: the nodes speak on ports 2377 and 7946' },
  firewall: {
    type: 'array',
    items: map({ block: firewallPorts, ...firewallNodes }, { required: ['block'] }),
    hint: 'write a list: - { block: [7946, 4789/udp], between: [node1, node2] }',
  },
  placement: {
    type: 'object',
    additionalProperties: { ...textOrTexts, minItems: 1 },
    hint: 'write a map from a service or container to nodes, or to spread: web: [node1, node3]',
  },
  containers: {
    type: 'object',
    patternProperties: { '^[a-zA-Z0-9][a-zA-Z0-9_.-]*$': container },
    additionalProperties: false,
    keyHint: 'a container is named with letters, digits, "_", "." and "-"',
    hint: 'write a map from a name to a container: alpine1: { node: node1, networks: [alpine-net] }',
  },
  outside: {
    type: 'array',
    items: map({ name: text, ...host, addresses, vlans, routes, extra_addresses, resolves }, { required: ['name'] }),
  },
  traffic,
  changes: {
    type: 'array',
    items: map(
      {
        at,
        scale: {
          type: 'object',
          additionalProperties: number(0, 10_000),
          hint: 'write a service and how many: web: 1',
        },
        update: {
          type: 'object',
          additionalProperties: map({
            image: text,
            replicas: number(0, 10_000),
            order: { type: 'string', enum: ['stop-first', 'start-first'] },
            parallelism: number(0, 10_000),
            delay: { type: 'number', minimum: 0, maximum: 86_400_000, hint: 'milliseconds' },
          }),
        },
        rollback: text,
        remove: text,
        kill: text,
        exit: map({ name: text, code: number(0, 255) }, { type: ['string', 'object'], required: ['name'] }),
        stop: text,
        start: text,
        drain: text,
        pause: text,
        activate: text,
        lose: text,
        restore: text,
        firewall: map(
          { block: firewallPorts, unblock: firewallPorts, ...firewallNodes },
          { hint: 'write firewall: { block: [4789/udp] }, or unblock with the same words' },
        ),
        connect: map(
          { network: text, container: text, aliases: texts, ipv4_address: text },
          { required: ['network', 'container'] },
        ),
        disconnect: map({ network: text, container: text }, { required: ['network', 'container'] }),
      },
      {
        required: ['at'],
        minProperties: 2,
        maxProperties: 2,
        hint: 'write a time and one change: - {at: 5000, scale: {web: 1}}',
      },
    ),
    hint: 'write a list: - {at: 5000, scale: {web: 1}}',
  },
  calls: {
    type: 'object',
    additionalProperties: { type: ['string', 'array'], items: text },
    hint: 'write a map from a service to what it calls: nginx: http://node:3000/',
  },
  roles: {
    type: 'object',
    additionalProperties: map(
      {
        dns: map({ domain: text }, { type: ['object', 'null'] }),
        relay: map(
          { listen: number(1, 65_535), to: text },
          { required: ['listen', 'to'], hint: 'write relay: { listen: 12345, to: "web:80" }' },
        ),
      },
      {
        minProperties: 1,
        maxProperties: 1,
        hint: 'write one role: { dns: {} } or { relay: { listen: 12345, to: "web:80" } }',
      },
    ),
    hint: 'write a map from a service or container to its role: relay: { relay: { listen: 12345, to: "web:80" } }',
  },
});

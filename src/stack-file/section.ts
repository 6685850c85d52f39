/**
 * The `x-swarmwire` section as plain data once `schemas/swarmwire.ts` has let it pass.
 */
import type { ComposeAttachment, ComposeNetwork, ComposeService } from './compose-file.js';
import type { NamingEntry } from './naming.js';
import type { LongPort } from './ports.js';

/** Where the section stands in the file. */
export const SECTION = '/x-swarmwire';

/** As many as have a default address in 192.168.99.0/24. */
export const MOST_NODES = 140;

export interface Section {
  engine?: string | number;
  nodes?: number | (string | NodeEntry)[];
  client?: HostEntry;
  /** The network of the routing mesh, made otherwise than by default. */
  ingress?: Pick<ComposeNetwork, 'name' | 'driver_opts' | 'ipam'>;
  swarm?:
    | boolean
    | { data_path_port?: number; default_addr_pool?: string | string[]; default_addr_pool_mask_length?: number };
  'control-plane'?: boolean;
  placement?: Record<string, string | string[]>;
  firewall?: FirewallEntry[];
  containers?: Record<string, ContainerEntry>;
  outside?: (HostEntry & { name: string })[];
  traffic?: FlowEntry[];
  calls?: Record<string, string | string[]>;
  changes?: ChangeEntry[];
  roles?: Record<string, RoleEntry>;
}

type Ports = number | string | (number | string)[];

/** `block`, or in a change `unblock`. */
export interface FirewallEntry {
  block?: Ports;
  unblock?: Ports;
  between?: string[];
  from?: string | string[];
  to?: string | string[];
}

/** One of the two. */
export interface RoleEntry {
  dns?: { domain?: string } | null;
  relay?: { listen: number; to: string };
}

export interface ChangeEntry {
  at: number;
  scale?: Record<string, number>;
  update?: Record<
    string,
    { image?: string; replicas?: number; order?: 'stop-first' | 'start-first'; parallelism?: number; delay?: number }
  >;
  rollback?: string;
  remove?: string;
  kill?: string;
  exit?: string | { name: string; code?: number };
  stop?: string;
  start?: string;
  drain?: string;
  pause?: string;
  activate?: string;
  lose?: string;
  restore?: string;
  firewall?: FirewallEntry;
  connect?: { network: string; container: string; aliases?: string[]; ipv4_address?: string };
  disconnect?: { network: string; container: string };
}

export interface NodeEntry {
  name?: string;
  role?: 'manager' | 'worker';
  address?: string;
  address6?: string;
  ipv6?: boolean;
  mac?: string;
  mtu?: number;
  labels?: Record<string, string | number | boolean>;
  daemon?: Record<string, unknown>;
  interfaces?: Record<string, { address: string; mac?: string; mtu?: number; segment?: string }>;
  advertise_addr?: string;
  data_path_addr?: string;
  docker_gwbridge?: MadeNetwork;
  networks?: Record<string, ConfigEntry>;
  resolvers?: string[];
  search?: string[];
}

export interface ConfigEntry {
  parent?: string;
  subnet?: string;
  gateway?: string;
  ip_range?: string;
  aux_addresses?: Record<string, string>;
}

/** `docker network create`. */
export interface MadeNetwork {
  subnet?: string;
  gateway?: string;
  driver_opts?: Record<string, string | number | boolean | null>;
}

export interface ContainerEntry extends NamingEntry {
  node?: string;
  image?: string;
  networks?: string[] | Record<string, ComposeAttachment | null>;
  network_mode?: string;
  mac_address?: string;
  restart?: string | boolean;
  sysctls?: ComposeService['sysctls'];
  /** Of a service that is a container. */
  depends_on?: ComposeService['depends_on'];
  ports?: (string | number | LongPort)[];
  expose?: (string | number)[];
  links?: string[];
}

export interface HostEntry {
  address?: string;
  address6?: string;
  mac?: string;
  mtu?: number;
  addresses?: string[];
  vlans?: Record<string, string | string[]>;
  routes?: Record<string, string>;
  extra_addresses?: string[];
  resolves?: Record<string, string | string[]>;
}

export interface LoadEntry {
  from?: string | string[];
  to: string;
  at?: number;
  protocol?: 'tcp' | 'udp';
  flows?: number;
  packets?: number;
  size?: number;
  imix?: boolean | Record<string, number>;
  rate?: number | string;
  arrivals?: 'constant' | 'poisson';
  answered?: boolean;
  sources?: string;
}

/** One of the four. */
export interface FlowEntry {
  load?: LoadEntry;
  ping?: { from?: string; to: string; at?: number; count?: number; size?: number };
  http?: { from?: string; to: string; at?: number; path?: string; requests?: number; hold?: number };
  udp?: { from?: string; to: string; at?: number; size?: number; datagrams?: number };
}

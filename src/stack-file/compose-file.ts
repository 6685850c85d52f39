/**
 * A stack file as plain data once `schemas/compose.ts` has let it pass: the part of it that swarmwire reads.
 */
import type { NamingEntry } from './naming.js';
import type { LongPort } from './ports.js';

/** A quoted "true" is as good as a plain one. */
export type Flag = boolean | string;

export interface ComposeFile {
  services?: Record<string, ComposeService> | null;
  networks?: Record<string, ComposeNetwork | null> | null;
  include?: unknown;
  'x-swarmwire'?: unknown;
}

export interface ComposeService extends NamingEntry {
  image?: string;
  deploy?: ComposeDeploy | null;
  networks?: string[] | Record<string, ComposeAttachment | null> | null;
  ports?: (string | number | LongPort)[];
  extends?: unknown;
  container_name?: string;
  network_mode?: string;
  mac_address?: string;
  expose?: (string | number)[];
  links?: string[];
  external_links?: string[];
  depends_on?: string[] | Record<string, unknown>;
  restart?: string;
  scale?: number | string;
  sysctls?: Record<string, string | number | boolean | null> | (string | number | boolean | null)[];
}

export interface ComposeAttachment {
  aliases?: string[];
  ipv4_address?: string;
  ipv6_address?: string;
  link_local_ips?: string[];
  mac_address?: string;
  priority?: number | string;
  gw_priority?: number | string;
}

export interface ComposeDeploy {
  mode?: string;
  replicas?: number | string;
  endpoint_mode?: 'vip' | 'dnsrr';
  placement?: {
    constraints?: string[];
    preferences?: { spread?: string }[];
    max_replicas_per_node?: number | string;
  } | null;
  restart_policy?: { condition?: string; delay?: string; max_attempts?: number | string; window?: string } | null;
  update_config?: ComposeUpdate | null;
  rollback_config?: ComposeUpdate | null;
}

export interface ComposeUpdate {
  parallelism?: number | string;
  delay?: string;
  order?: 'stop-first' | 'start-first';
  failure_action?: string;
  monitor?: string;
  max_failure_ratio?: number | string;
}

export interface ComposeNetwork {
  name?: string;
  driver?: string;
  driver_opts?: Record<string, string | number | boolean | null> | null;
  ipam?: { driver?: string; config?: ComposePool[] } | null;
  attachable?: Flag;
  enable_ipv6?: Flag;
  enable_ipv4?: Flag;
  external?: Flag | { name?: string };
  internal?: Flag;
}

export interface ComposePool {
  subnet?: string;
  gateway?: string;
  ip_range?: string;
  aux_addresses?: Record<string, string>;
}

export function isOn(flag: Flag | undefined): boolean {
  return flag === true || (typeof flag === 'string' && ['true', 'yes', 'on', 'y', '1'].includes(flag));
}

/** A map's own entries, extensions left out. */
export function entries<T>(map: Record<string, T> | null | undefined): [string, T][] {
  return Object.entries(map ?? {}).filter(([key]) => !key.startsWith('x-'));
}

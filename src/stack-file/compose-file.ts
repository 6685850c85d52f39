/**
 * A stack file as plain data once `compose-schema.ts` has let it pass: the part of it that swarmwire reads.
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
}

export interface ComposeAttachment {
  aliases?: string[];
}

export interface ComposeDeploy {
  mode?: string;
  replicas?: number | string;
  endpoint_mode?: 'vip' | 'dnsrr';
  placement?: { constraints?: string[]; preferences?: unknown; max_replicas_per_node?: number | string } | null;
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

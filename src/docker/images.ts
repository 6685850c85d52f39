/**
 * Images are names: nothing is downloaded, and nothing of them is run. Known ones bring a program that does on the network
 * what theirs does; any other listens on its ports and answers.
 */

import { createHash } from 'node:crypto';

export interface Image {
  /** `alpine:latest`, `nicolaka/pets_web:1.0` */
  name: string;
  /** `sha256:…`, from the name. */
  id: string;
  command: readonly string[];
  entrypoint: readonly string[];
  /** `80/tcp` */
  exposed: readonly string[];
  environment: readonly string[];
  /** ns since 1970 */
  created: bigint;
  size: number;
}

interface Known {
  command: readonly string[];
  entrypoint?: readonly string[];
  exposed?: readonly string[];
  size: number;
}

/** By the last part of a name, without its tag. */
const KNOWN: Record<string, Known> = {
  alpine: { command: ['/bin/sh'], size: 7_380_000 },
  busybox: { command: ['sh'], size: 4_260_000 },
  ubuntu: { command: ['/bin/bash'], size: 77_900_000 },
  debian: { command: ['bash'], size: 117_000_000 },
  centos: { command: ['/bin/bash'], size: 231_000_000 },
  netshoot: { command: ['zsh'], size: 400_000_000 },
  nginx: {
    command: ['nginx', '-g', 'daemon off;'],
    entrypoint: ['/docker-entrypoint.sh'],
    exposed: ['80/tcp'],
    size: 187_000_000,
  },
  httpd: { command: ['httpd-foreground'], exposed: ['80/tcp'], size: 148_000_000 },
  redis: { command: ['redis-server'], entrypoint: ['docker-entrypoint.sh'], exposed: ['6379/tcp'], size: 138_000_000 },
  'hello-world': { command: ['/hello'], size: 13_256 },
};

/** Listens on the ports that the container exposes and publishes. */
export const SERVE = '/serve';

export function imageOf(reference: string, now: bigint): Image {
  const name = withTag(reference);
  const known = KNOWN[baseOf(name)];
  return {
    name,
    id: `sha256:${digestOf(name)}`,
    command: known?.command ?? [SERVE],
    entrypoint: known?.entrypoint ?? [],
    exposed: known?.exposed ?? [],
    environment: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
    created: now,
    size: known?.size ?? 100_000_000,
  };
}

/** What a registry would say of its manifest. */
export function digestOf(name: string): string {
  return createHash('sha256').update(name).digest('hex');
}

/** `alpine` → `alpine:latest`; a digest stays, and so does a tag. `docker.io/library/` is left out, as the client does. */
export function withTag(reference: string): string {
  const short = reference.replace(/^docker\.io\//, '').replace(/^library\//, '');
  const bare = short.replace(/@sha256:[0-9a-f]{64}$/, '');
  return /:[\w][\w.-]*$/.test(bare.slice(bare.lastIndexOf('/') + 1)) ? bare : `${bare}:latest`;
}

function baseOf(name: string): string {
  return (name.split('/').pop() ?? '').split(':')[0] ?? '';
}

/** distribution/reference: lower-case path components, a tag. */
export function isReference(text: string): boolean {
  return /^(?:[\w.-]+(?::\d+)?\/)?[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*(?::[\w][\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?$/.test(
    text,
  );
}

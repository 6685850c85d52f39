/**
 * Images are names: nothing is downloaded, and nothing of them is run. Known ones bring a program that does on the network
 * what theirs does; any other listens on its ports and answers.
 */

import { createHash } from 'node:crypto';
import { RESOLVABLE } from './resolvable.js';

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
  /** Whose programs it has: busybox's, or those of a larger distribution. */
  flavour: 'busybox' | 'debian';
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

const server = (command: string, exposed: readonly string[], megabytes: number, entrypoint?: string): Known => ({
  command: command.split(' '),
  ...(entrypoint === undefined ? {} : { entrypoint: [entrypoint] }),
  exposed: exposed.map((port) => (port.includes('/') ? port : `${port}/tcp`)),
  size: megabytes * 1_000_000,
});

/** By a name's last part without its tag, or a word of it: `sixeyed/ubuntu-with-utils` is an ubuntu. */
const KNOWN: Record<string, Known> = {
  alpine: { command: ['/bin/sh'], size: 7_380_000 },
  busybox: { command: ['sh'], size: 4_260_000 },
  ubuntu: { command: ['/bin/bash'], size: 77_900_000 },
  debian: { command: ['bash'], size: 117_000_000 },
  centos: { command: ['/bin/bash'], size: 231_000_000 },
  fedora: { command: ['/bin/bash'], size: 178_000_000 },
  netshoot: { command: ['zsh'], size: 400_000_000 },
  nginx: {
    command: ['nginx', '-g', 'daemon off;'],
    entrypoint: ['/docker-entrypoint.sh'],
    exposed: ['80/tcp'],
    size: 187_000_000,
  },
  httpd: server('httpd-foreground', ['80'], 148),
  redis: server('redis-server', ['6379'], 138, 'docker-entrypoint.sh'),
  mysql: server('mysqld', ['3306', '33060'], 580, 'docker-entrypoint.sh'),
  mariadb: server('mariadbd', ['3306'], 400, 'docker-entrypoint.sh'),
  postgres: server('postgres', ['5432'], 420, 'docker-entrypoint.sh'),
  mongo: server('mongod', ['27017'], 700, 'docker-entrypoint.sh'),
  memcached: server('memcached', ['11211'], 85, 'docker-entrypoint.sh'),
  wordpress: server('apache2-foreground', ['80'], 616, 'docker-entrypoint.sh'),
  tomcat: server('catalina.sh run', ['8080'], 470),
  zookeeper: server('zkServer.sh start-foreground', ['2181', '2888', '3888'], 150),
  'static-site': server('nginx', ['80'], 190),
  whoami: server('/whoami', ['80'], 6),
  resolvable: server(RESOLVABLE, ['53/udp'], 19),
  'hello-world': { command: ['/hello'], size: 13_256 },
};

/** Listens on the ports that the container exposes and publishes. */
export const SERVE = '/serve';

export function imageOf(reference: string, now: bigint): Image {
  const name = withTag(reference);
  const known = knownOf(baseOf(name));
  return {
    name,
    flavour: /^(?:alpine|busybox)\b/.test(baseOf(name)) || /:.*alpine/.test(name) ? 'busybox' : 'debian',
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

function knownOf(base: string): Known | undefined {
  if (Object.hasOwn(KNOWN, base)) return KNOWN[base];
  const word = base.split(/[-_.]/).find((one) => Object.hasOwn(KNOWN, one));
  return word === undefined ? undefined : KNOWN[word];
}

/** distribution/reference: lower-case path components, a tag. */
export function isReference(text: string): boolean {
  return /^(?:[\w.-]+(?::\d+)?\/)?[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*(?::[\w][\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?$/.test(
    text,
  );
}

/** By node: `docker images` of one does not show another's. */
export class Images {
  readonly #byNode = new Map<string, Map<string, Image>>();

  on(node: string): Map<string, Image> {
    const known = this.#byNode.get(node);
    if (known) return known;
    const made = new Map<string, Image>();
    this.#byNode.set(node, made);
    return made;
  }

  /** `now`: ns since 1970. */
  pull(node: string, reference: string, now: bigint): { image: Image; fresh: boolean } {
    const name = withTag(reference);
    const images = this.on(node);
    const known = images.get(name);
    if (known) return { image: known, fresh: false };
    const image = imageOf(name, now);
    images.set(name, image);
    return { image, fresh: true };
  }
}

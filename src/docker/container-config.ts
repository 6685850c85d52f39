/** What of a container concerns its process, not its network: command, environment, terminal, labels. */

import { programOf } from '../programs/index.js';
import type { ContainerState } from '../swarm/state.js';
import type { Protocol } from '../topology/spec.js';
import type { HealthCheck } from './health.js';
import { type Image, SERVE } from './images.js';

export interface ContainerConfig {
  image: Image;
  /** As it was asked for. */
  reference: string;
  entrypoint: readonly string[];
  command: readonly string[];
  environment: Record<string, string>;
  hostname: string;
  tty: boolean;
  openStdin: boolean;
  stdinOnce: boolean;
  attachStdout: boolean;
  autoRemove: boolean;
  labels: Record<string, string>;
  exposes: { port: number; protocol: Protocol }[];
  networkMode: string;
  healthCheck?: HealthCheck;
}

/** `["A=1", "B"]` */
export function environmentOf(list: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    list.map((entry) => {
      const at = entry.indexOf('=');
      return at < 0 ? [entry, ''] : [entry.slice(0, at), entry.slice(at + 1)];
    }),
  );
}

/** `80/tcp` */
export function portOf(text: string): { port: number; protocol: Protocol } {
  const [port, protocol] = text.split('/');
  return { port: Number(port), protocol: protocol === 'udp' ? 'udp' : 'tcp' };
}

/** What a service says of its containers' processes; kept beside the service's own spec. */
export interface TaskProcess {
  command?: readonly string[];
  args?: readonly string[];
  environment?: readonly string[];
  hostname?: string;
  tty?: boolean;
  openStdin?: boolean;
  labels?: Record<string, string>;
  healthCheck?: HealthCheck;
}

/** Set by the Engine API for services that came by it. */
export const taskProcesses = new WeakMap<object, TaskProcess>();

export function configOfTask(container: ContainerState, image: Image): ContainerConfig {
  const { task, spec } = container;
  const process = (task && taskProcesses.get(task.spec)) ?? {};
  const swarm = task
    ? {
        'com.docker.swarm.node.id': '',
        'com.docker.swarm.service.id': task.service.id,
        'com.docker.swarm.service.name': task.service.spec.name,
        'com.docker.swarm.task': '',
        'com.docker.swarm.task.id': task.id,
        'com.docker.swarm.task.name': container.name,
      }
    : {};
  const overridden = process.command !== undefined && process.command.length > 0;
  return {
    ...(process.healthCheck ? { healthCheck: process.healthCheck } : {}),
    image,
    reference: spec.image ?? image.name,
    entrypoint: overridden ? (process.command ?? []) : image.entrypoint,
    command: process.args && process.args.length > 0 ? process.args : overridden ? [] : image.command,
    environment: environmentOf([...image.environment, ...(process.environment ?? [])]),
    hostname: process.hostname ?? '',
    tty: process.tty ?? false,
    openStdin: process.openStdin ?? false,
    stdinOnce: false,
    attachStdout: false,
    autoRemove: false,
    labels: { ...(process.labels ?? {}), ...swarm },
    exposes: [...image.exposed.map(portOf), ...spec.exposes],
    networkMode: 'default',
  };
}

/** Entry points prepare files and hand over to the command. */
export function argvOf({ entrypoint, command }: ContainerConfig): string[] {
  const argv = [...entrypoint, ...command];
  if (argv.length > 1 && /docker-entrypoint\.sh$/.test(argv[0] ?? '')) argv.shift();
  return argv;
}

/** What an image runs by itself and there is no program for, and what is asked of an image that nobody knows: it listens. */
export function listensAs(name: string, { image, attachStdout, command }: ContainerConfig): boolean {
  const [own] = image.command;
  const asked = own === SERVE && !attachStdout && name === command[0];
  return name === SERVE || ((name === own || asked) && !programOf(name));
}

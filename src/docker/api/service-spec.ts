/** A service's spec as a client sends it, read: what concerns the network goes to the cluster, the rest to its tasks' processes. */

import * as v from 'valibot';
import type { ServiceState } from '../../swarm/state.js';
import type { PortSpec, ServiceSpec } from '../../topology/spec.js';
import type { TaskProcess } from '../container-config.js';
import type { World } from '../world.js';
import { labels, strings } from './body.js';
import { networkIdOf } from './container-json.js';
import { HEALTHCHECK, healthCheckOf } from './container-spec.js';
import type { Engine } from './context.js';
import { ApiError } from './errors.js';

/** Secrets and configs, by their ids. */
const NAMED = v.optional(
  v.array(v.looseObject({ SecretID: v.optional(v.string()), ConfigID: v.optional(v.string()) })),
);
const NETWORKS = v.optional(v.array(v.object({ Target: v.string(), Aliases: strings })), []);
const UPDATE = v.optional(
  v.object({
    Parallelism: v.optional(v.number(), 1),
    Delay: v.optional(v.number(), 0),
    Order: v.optional(v.string(), ''),
  }),
);

const emptyContainer = () => ({
  Image: '',
  Command: [],
  Args: [],
  Env: [],
  Hostname: '',
  TTY: false,
  OpenStdin: false,
  Labels: {},
});

export const SPEC = v.looseObject({
  Name: v.optional(v.string(), ''),
  Labels: labels,
  TaskTemplate: v.optional(
    v.looseObject({
      ContainerSpec: v.optional(
        v.looseObject({
          Image: v.optional(v.string(), ''),
          Command: strings,
          Args: strings,
          Env: strings,
          Hostname: v.optional(v.string(), ''),
          TTY: v.optional(v.boolean(), false),
          OpenStdin: v.optional(v.boolean(), false),
          Labels: labels,
          Healthcheck: v.optional(HEALTHCHECK),
          Secrets: NAMED,
          Configs: NAMED,
        }),
        emptyContainer,
      ),
      Networks: NETWORKS,
      ForceUpdate: v.optional(v.number(), 0),
      Placement: v.optional(
        v.looseObject({
          Constraints: strings,
          Preferences: v.optional(
            v.array(
              v.looseObject({ Spread: v.optional(v.looseObject({ SpreadDescriptor: v.optional(v.string(), '') })) }),
            ),
            [],
          ),
          MaxReplicas: v.optional(v.number(), 0),
        }),
      ),
      RestartPolicy: v.optional(
        v.looseObject({
          Condition: v.optional(v.string(), 'any'),
          Delay: v.optional(v.number()),
          MaxAttempts: v.optional(v.number()),
        }),
      ),
    }),
    () => ({
      ContainerSpec: emptyContainer(),
      Networks: [],
      ForceUpdate: 0,
    }),
  ),
  Mode: v.optional(
    v.looseObject({
      Replicated: v.optional(v.looseObject({ Replicas: v.optional(v.number()) })),
      Global: v.optional(v.unknown()),
    }),
  ),
  Networks: NETWORKS,
  EndpointSpec: v.optional(
    v.looseObject({
      Mode: v.optional(v.string(), 'vip'),
      Ports: v.optional(
        v.array(
          v.object({
            Name: v.optional(v.string(), ''),
            Protocol: v.optional(v.string(), 'tcp'),
            TargetPort: v.number(),
            PublishedPort: v.optional(v.number(), 0),
            PublishMode: v.optional(v.string(), 'ingress'),
          }),
        ),
        [],
      ),
    }),
  ),
  UpdateConfig: UPDATE,
  RollbackConfig: UPDATE,
});
export type Spec = v.InferOutput<typeof SPEC>;

/** As it was asked for; the swarm's own is made from it. By service id, the last before it as well. */
interface Asked {
  spec: Spec;
  previous?: Spec;
}
const asked = new WeakMap<World, Map<string, Asked>>();

export function askedOf(world: World): Map<string, Asked> {
  const known = asked.get(world);
  if (known) return known;
  const made = new Map<string, Asked>();
  asked.set(world, made);
  return made;
}

/** What swarmkit fills in (manager/controlapi/service.go): one replica. */
export function withDefaults(spec: Spec): Spec {
  if (spec.Mode?.Global !== undefined || spec.Mode?.Replicated?.Replicas !== undefined) return spec;
  return { ...spec, Mode: { Replicated: { Replicas: 1 } } };
}

export function specFrom({ world }: Engine, spec: Spec): ServiceSpec {
  const { TaskTemplate: task } = spec;
  if (!/^[a-zA-Z0-9](?:[-_]*[A-Za-z0-9]+)*$/.test(spec.Name) || spec.Name.length > 63)
    throw new ApiError(400, 'rpc error: code = InvalidArgument desc = name must be valid as a DNS name component');
  if (task.ContainerSpec.Image === '')
    throw new ApiError(400, 'rpc error: code = InvalidArgument desc = ContainerSpec: image reference must be provided');
  const networks = task.Networks.length > 0 ? task.Networks : spec.Networks;
  const global = spec.Mode?.Global !== undefined;
  const ports = (spec.EndpointSpec?.Ports ?? []).map(
    ({ TargetPort: target, PublishedPort: published, Protocol, PublishMode }): PortSpec => ({
      target,
      protocol: Protocol === 'udp' ? 'udp' : 'tcp',
      mode: PublishMode === 'host' ? 'host' : 'ingress',
      ...(published ? { published } : {}),
    }),
  );
  const dnsrr = spec.EndpointSpec?.Mode === 'dnsrr';
  if (dnsrr && ports.some(({ mode }) => mode === 'ingress'))
    throw new ApiError(
      400,
      "rpc error: code = InvalidArgument desc = EndpointSpec: port published with ingress mode can't be used with dnsrr mode",
    );
  const policy = (config: Spec['UpdateConfig']) =>
    config && {
      parallelism: config.Parallelism,
      delay: config.Delay,
      ...(config.Order === 'start-first' || config.Order === 'stop-first'
        ? { order: config.Order as 'start-first' | 'stop-first' }
        : {}),
    };
  const { Placement: placement, RestartPolicy: restart } = task;
  return {
    name: spec.Name,
    image: task.ContainerSpec.Image.replace(/@sha256:.*$/, ''),
    mode: global ? 'global' : 'replicated',
    replicas: spec.Mode?.Replicated?.Replicas ?? 1,
    networks: networks.map(({ Target, Aliases: aliases }) => {
      const bare = ['host', 'none'].find((name) => isNamed(world, name, Target));
      if (bare) return { name: bare, aliases };
      const network = world.cluster.attachments.find(Target);
      if (!network) throw new ApiError(404, `network ${Target} not found`);
      return { name: network.name, aliases };
    }),
    endpointMode: dnsrr ? 'dnsrr' : 'vip',
    ports,
    constraints: placement?.Constraints ?? [],
    ...(placement?.Preferences.length
      ? { preferences: placement.Preferences.flatMap(({ Spread }) => (Spread ? [Spread.SpreadDescriptor] : [])) }
      : {}),
    ...(placement?.MaxReplicas ? { maxReplicasPerNode: placement.MaxReplicas } : {}),
    ...(restart
      ? {
          restart: {
            condition: (['none', 'on-failure', 'any'] as const).find((one) => one === restart.Condition) ?? 'any',
            ...(restart.Delay === undefined ? {} : { delay: restart.Delay }),
            ...(restart.MaxAttempts ? { maxAttempts: restart.MaxAttempts } : {}),
          },
        }
      : {}),
    ...(spec.UpdateConfig ? { update: policy(spec.UpdateConfig) ?? {} } : {}),
    ...(spec.RollbackConfig ? { rollback: policy(spec.RollbackConfig) ?? {} } : {}),
  };
}

/** host and none are another network on each node. */
function isNamed(world: World, name: string, target: string): boolean {
  return target === name || [...world.cluster.nodes.keys()].some((node) => networkIdOf(world, node, name) === target);
}

export function processFrom({ TaskTemplate: { ContainerSpec: container } }: Spec): TaskProcess {
  const healthCheck = healthCheckOf(container.Healthcheck);
  return {
    command: container.Command,
    args: container.Args,
    environment: container.Env,
    ...(container.Hostname ? { hostname: container.Hostname } : {}),
    tty: container.TTY,
    openStdin: container.OpenStdin,
    labels: container.Labels,
    ...(healthCheck ? { healthCheck } : {}),
  };
}

/** What a service that came by a stack file would have been asked for. */
function specOfFile({ spec }: ServiceState, world: World): Spec {
  return {
    Name: spec.name,
    Labels: {},
    TaskTemplate: {
      ContainerSpec: { ...emptyContainer(), Image: spec.image ?? '' },
      Networks: spec.networks.map(({ name, aliases }) => ({
        Target: world.cluster.attachments.find(name)?.id ?? name,
        Aliases: aliases,
      })),
      ForceUpdate: 0,
      Placement: { Constraints: spec.constraints, Preferences: [], MaxReplicas: spec.maxReplicasPerNode ?? 0 },
    },
    Mode: spec.mode === 'global' ? { Global: {} } : { Replicated: { Replicas: spec.replicas } },
    Networks: [],
    EndpointSpec: {
      Mode: spec.endpointMode,
      Ports: spec.ports.map(({ target, published, protocol, mode }) => ({
        Name: '',
        Protocol: protocol,
        TargetPort: target,
        PublishedPort: published ?? 0,
        PublishMode: mode,
      })),
    },
  };
}

export function specOf(world: World, service: ServiceState): Spec {
  return askedOf(world).get(service.id)?.spec ?? specOfFile(service, world);
}

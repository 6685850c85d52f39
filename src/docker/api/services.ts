/** Services and their tasks; configs and secrets as names, which `docker stack deploy` asks for. */

import * as v from 'valibot';
import type { ServiceState, TaskState } from '../../swarm/state.js';
import type { PortSpec, ServiceSpec } from '../../topology/spec.js';
import { type TaskProcess, taskProcesses } from '../container-config.js';
import type { World } from '../world.js';
import { hasLabels, labels, readFilters, readJson, refuseUnknown, strings } from './body.js';
import { networkIdOf } from './container-json.js';
import { logs } from './containers.js';
import { type App, bodyOf, type Engine, manager, required, timeText } from './context.js';
import { ApiError } from './errors.js';

const NETWORKS = v.optional(v.array(v.object({ Target: v.string(), Aliases: strings })), []);
const UPDATE = v.optional(
  v.object({
    Parallelism: v.optional(v.number(), 1),
    Delay: v.optional(v.number(), 0),
    Order: v.optional(v.string(), ''),
  }),
);

const SPEC = v.looseObject({
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
        }),
        () => ({ Image: '', Command: [], Args: [], Env: [], Hostname: '', TTY: false, OpenStdin: false, Labels: {} }),
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
      ContainerSpec: {
        Image: '',
        Command: [],
        Args: [],
        Env: [],
        Hostname: '',
        TTY: false,
        OpenStdin: false,
        Labels: {},
      },
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
type Spec = v.InferOutput<typeof SPEC>;

/** As it was asked for; the swarm's own is made from it. By service id, the last before it as well. */
interface Asked {
  spec: Spec;
  previous?: Spec;
}
const asked = new WeakMap<World, Map<string, Asked>>();

function askedOf(world: World): Map<string, Asked> {
  const known = asked.get(world);
  if (known) return known;
  const made = new Map<string, Asked>();
  asked.set(world, made);
  return made;
}

/** What swarmkit fills in (manager/controlapi/service.go): one replica. */
function withDefaults(spec: Spec): Spec {
  if (spec.Mode?.Global !== undefined || spec.Mode?.Replicated?.Replicas !== undefined) return spec;
  return { ...spec, Mode: { Replicated: { Replicas: 1 } } };
}

function specFrom({ world }: Engine, spec: Spec): ServiceSpec {
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

function processFrom({ TaskTemplate: { ContainerSpec: container } }: Spec): TaskProcess {
  return {
    command: container.Command,
    args: container.Args,
    environment: container.Env,
    ...(container.Hostname ? { hostname: container.Hostname } : {}),
    tty: container.TTY,
    openStdin: container.OpenStdin,
    labels: container.Labels,
  };
}

/** What a service that came by a stack file would have been asked for. */
function specOfFile({ spec }: ServiceState, world: World): Spec {
  return {
    Name: spec.name,
    Labels: {},
    TaskTemplate: {
      ContainerSpec: {
        Image: spec.image ?? '',
        Command: [],
        Args: [],
        Env: [],
        Hostname: '',
        TTY: false,
        OpenStdin: false,
        Labels: {},
      },
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

export function serviceRoutes(app: App, engine: Engine): void {
  const { world } = engine;
  const { cluster } = world;
  const specs = askedOf(world);
  const find = (name: string): ServiceState => {
    const all = [...cluster.services.values()];
    const found =
      all.find((one) => one.spec.name === name || one.id === name) ?? all.find(({ id }) => id.startsWith(name));
    if (found) return found;
    throw new ApiError(404, `service ${name} not found`);
  };
  const specOf = (service: ServiceState): Spec => specs.get(service.id)?.spec ?? specOfFile(service, world);

  const json = (service: ServiceState, status: boolean) => {
    const { id, version, path, created, updated, update } = service;
    const spec = specOf(service);
    const tasks = [...service.tasks];
    const published = path.ports.map(({ published: PublishedPort, target: TargetPort, protocol: Protocol }) => ({
      Protocol,
      TargetPort,
      PublishedPort,
      PublishMode: 'ingress',
    }));
    const host = service.spec.ports
      .filter(({ mode }) => mode === 'host')
      .map(({ published: PublishedPort, target: TargetPort, protocol: Protocol }) => ({
        Protocol,
        TargetPort,
        ...(PublishedPort ? { PublishedPort } : {}),
        PublishMode: 'host',
      }));
    const desired =
      service.spec.mode === 'global'
        ? tasks.filter((task) => task.desired === 'running' || task.desired === 'ready').length
        : service.spec.replicas;
    return {
      ID: id,
      Version: { Index: version },
      CreatedAt: timeText(world.at(created)),
      UpdatedAt: timeText(world.at(updated)),
      Spec: spec,
      ...(specs.get(id)?.previous ? { PreviousSpec: specs.get(id)?.previous } : {}),
      Endpoint: {
        Spec: {
          Mode: service.spec.endpointMode,
          ...(spec.EndpointSpec?.Ports.length ? { Ports: spec.EndpointSpec.Ports } : {}),
        },
        ...(published.length + host.length > 0 ? { Ports: [...published, ...host] } : {}),
        ...(Object.keys(path.vips).length > 0
          ? {
              VirtualIPs: Object.entries(path.vips).map(([name, address]) => {
                const network = cluster.attachments.find(name);
                const length = (Object.values(network?.onNode ?? {})[0]?.subnet ?? '/24').split('/')[1];
                return { NetworkID: network?.id ?? name, Addr: `${address}/${length}` };
              }),
            }
          : {}),
      },
      ...(update
        ? {
            UpdateStatus: {
              State: update.state,
              StartedAt: timeText(world.at(update.started)),
              ...(update.completed === undefined ? {} : { CompletedAt: timeText(world.at(update.completed)) }),
              Message: update.message,
            },
          }
        : {}),
      ...(status
        ? {
            ServiceStatus: {
              RunningTasks: tasks.filter((task) => task.state === 'running' && task.desired === 'running').length,
              DesiredTasks: desired,
              CompletedTasks: 0,
            },
          }
        : {}),
    };
  };

  app.get('/services', (c) => {
    manager(engine);
    const filters = readFilters(c.req.query('filters'));
    refuseUnknown(filters, ['id', 'name', 'label', 'mode', 'runtime']);
    const any = (key: string, test: (value: string) => boolean) => {
      const wanted = filters.get(key);
      return wanted === undefined || wanted.length === 0 || wanted.some(test);
    };
    const list = [...cluster.services.values()].filter(
      (service) =>
        any('id', (one) => service.id.startsWith(one)) &&
        any('name', (one) => service.spec.name.startsWith(one)) &&
        any('mode', (one) => one === service.spec.mode) &&
        hasLabels(specOf(service).Labels, filters.get('label') ?? []),
    );
    return c.json(
      list.map((service) => json(service, c.req.query('status') === 'true' || c.req.query('status') === '1')),
    );
  });

  app.get('/services/:id', (c) => {
    manager(engine);
    return c.json(json(find(required(c, 'id')), false));
  });

  app.post('/services/create', async (c) => {
    manager(engine);
    const spec = withDefaults(readJson(await bodyOf(c), SPEC));
    const service = cluster.serviceCreate(specFrom(engine, spec));
    taskProcesses.set(service.spec, processFrom(spec));
    specs.set(service.id, { spec });
    return c.json({ ID: service.id }, 201);
  });

  app.post('/services/:id/update', async (c) => {
    manager(engine);
    const service = find(required(c, 'id'));
    const index = c.req.query('version');
    if (index !== undefined && Number(index) !== service.version)
      throw new ApiError(500, 'rpc error: code = Unknown desc = update out of sequence');
    const before = specOf(service);
    if (c.req.query('rollback') === 'previous') {
      const previous = specs.get(service.id)?.previous;
      cluster.serviceRollback(service.spec.name);
      if (previous) {
        taskProcesses.set(service.spec, processFrom(previous));
        specs.set(service.id, { spec: previous, previous: before });
      }
      return c.json({ Warnings: null });
    }
    const given = withDefaults(readJson(await bodyOf(c), SPEC));
    const spec = { ...given, Name: given.Name === '' ? service.spec.name : given.Name };
    if (spec.Name !== service.spec.name)
      throw new ApiError(501, 'rpc error: code = Unimplemented desc = renaming services is not supported');
    const { name: _, mode, ...change } = specFrom(engine, spec);
    if (mode !== service.spec.mode)
      throw new ApiError(501, 'rpc error: code = Unimplemented desc = service mode change is not allowed');
    const text = (one: Spec) => JSON.stringify([one.TaskTemplate.ContainerSpec, one.TaskTemplate.ForceUpdate]);
    cluster.serviceUpdate(service.spec.name, { ...change, force: text(spec) !== text(before) });
    taskProcesses.set(service.spec, processFrom(spec));
    specs.set(service.id, { spec, previous: before });
    return c.json({ Warnings: null });
  });

  app.delete('/services/:id', (c) => {
    manager(engine);
    const service = find(required(c, 'id'));
    cluster.serviceRemove(service.spec.name);
    specs.delete(service.id);
    return c.body(null, 200);
  });

  const sources = (tasks: readonly TaskState[]) =>
    tasks.flatMap((task) => {
      const { container } = task;
      const details = `com.docker.swarm.node.id=${cluster.node(task.node ?? '').id},com.docker.swarm.service.id=${task.service.id},com.docker.swarm.task.id=${task.id}`;
      return container ? [{ container, prefix: `${details} ` }] : [];
    });
  app.get('/services/:id/logs', (c) => {
    manager(engine);
    return logs(world, c, sources([...find(required(c, 'id')).tasks]));
  });

  // --- Tasks ---

  const taskJson = (task: TaskState) => {
    const { service, container } = task;
    const { ContainerSpec, Networks, Placement, RestartPolicy } = specOf(service).TaskTemplate;
    return {
      ID: task.id,
      Version: { Index: 10 },
      CreatedAt: timeText(world.at(task.created)),
      UpdatedAt: timeText(world.at(task.updated)),
      Labels: {},
      Spec: {
        ContainerSpec,
        Networks,
        ...(Placement ? { Placement } : {}),
        ...(RestartPolicy ? { RestartPolicy } : {}),
        ForceUpdate: 0,
      },
      ServiceID: service.id,
      ...(task.slot > 0 ? { Slot: task.slot } : {}),
      ...(task.node ? { NodeID: cluster.node(task.node).id } : {}),
      Status: {
        Timestamp: timeText(world.at(task.updated)),
        State: task.state,
        Message: task.message,
        ...(task.error ? { Err: task.error } : {}),
        ...(container ? { ContainerStatus: { ContainerID: container.id, PID: 0, ExitCode: container.exitCode } } : {}),
        PortStatus: container?.sandbox?.publishes
          ? {
              Ports: container.sandbox.publishes.map(
                ({ published: PublishedPort, target: TargetPort, protocol: Protocol }) => ({
                  Protocol,
                  TargetPort,
                  PublishedPort,
                  PublishMode: 'host',
                }),
              ),
            }
          : {},
      },
      DesiredState: task.desired,
      NetworksAttachments: (container?.sandbox?.endpoints ?? []).flatMap(({ network: name, address }) => {
        const network = cluster.attachments.find(name);
        return network && network.driver === 'overlay'
          ? [{ Network: { ID: network.id, Spec: { Name: network.name } }, Addresses: [address] }]
          : [];
      }),
    };
  };

  app.get('/tasks', (c) => {
    manager(engine);
    const filters = readFilters(c.req.query('filters'));
    refuseUnknown(filters, ['id', 'name', 'label', 'service', 'node', 'desired-state', '_up-to-date', 'runtime']);
    const any = (key: string, test: (value: string) => boolean) => {
      const wanted = filters.get(key);
      return wanted === undefined || wanted.length === 0 || wanted.some(test);
    };
    const list = cluster.orchestrator.tasks.filter(
      (task) =>
        any('id', (one) => task.id.startsWith(one)) &&
        any('name', (one) => task.name === one || task.name.startsWith(`${one}.`) || task.name.startsWith(one)) &&
        any('service', (one) => task.service.id === one || task.service.spec.name === one) &&
        any('node', (one) => task.node !== undefined && (task.node === one || cluster.node(task.node).id === one)) &&
        any('desired-state', (one) => (one === 'accepted' ? task.desired === 'ready' : task.desired === one)) &&
        hasLabels(specOf(task.service).Labels, filters.get('label') ?? []),
    );
    return c.json(list.map(taskJson));
  });
  const findTask = (name: string) => {
    const found = cluster.orchestrator.tasks.find(({ id }) => id === name || id.startsWith(name));
    if (found) return found;
    throw new ApiError(404, `task ${name} not found`);
  };
  app.get('/tasks/:id', (c) => {
    manager(engine);
    return c.json(taskJson(findTask(required(c, 'id'))));
  });
  app.get('/tasks/:id/logs', (c) => {
    manager(engine);
    return logs(world, c, sources([findTask(required(c, 'id'))]));
  });

  for (const kind of ['secrets', 'configs'] as const) namedRoutes(app, engine, kind);
  volumeRoutes(app, engine);
}

interface Named {
  id: string;
  name: string;
  labels: Record<string, string>;
  created: number;
  version: number;
  data?: string;
}
const named = new WeakMap<World, Record<'secrets' | 'configs', Map<string, Named>>>();

/** Configs and secrets are names: no container reads them. */
function namedRoutes(app: App, engine: Engine, kind: 'secrets' | 'configs'): void {
  const { world } = engine;
  if (!named.has(world)) named.set(world, { secrets: new Map(), configs: new Map() });
  const all = (named.get(world) as Record<'secrets' | 'configs', Map<string, Named>>)[kind];
  const one = kind.slice(0, -1);
  const find = (name: string) => {
    const found =
      [...all.values()].find((entry) => entry.id === name || entry.name === name) ??
      [...all.values()].find(({ id }) => id.startsWith(name));
    if (found) return found;
    throw new ApiError(404, `${one} ${name} not found`);
  };
  const json = ({ id, name, labels: Labels, created, version, data }: Named) => ({
    ID: id,
    Version: { Index: version },
    CreatedAt: timeText(world.at(created)),
    UpdatedAt: timeText(world.at(created)),
    Spec: { Name: name, Labels, ...(kind === 'configs' && data !== undefined ? { Data: data } : {}) },
  });
  const SCHEMA = v.object({ Name: v.optional(v.string(), ''), Labels: labels, Data: v.optional(v.string()) });
  app.get(`/${kind}`, (c) => {
    manager(engine);
    const filters = readFilters(c.req.query('filters'));
    const names = filters.get('name');
    return c.json(
      [...all.values()]
        .filter(
          (entry) =>
            (names === undefined || names.some((name) => entry.name.startsWith(name))) &&
            hasLabels(entry.labels, filters.get('label') ?? []),
        )
        .map(json),
    );
  });
  app.post(`/${kind}/create`, async (c) => {
    manager(engine);
    const wish = readJson(await bodyOf(c), SCHEMA);
    if (wish.Name === '')
      throw new ApiError(400, `rpc error: code = InvalidArgument desc = ${one} name must be provided`);
    if ([...all.values()].some(({ name }) => name === wish.Name))
      throw new ApiError(409, `rpc error: code = AlreadyExists desc = ${one} ${wish.Name} already exists`);
    const id = world.newId().slice(0, 25);
    all.set(id, {
      id,
      name: wish.Name,
      labels: wish.Labels,
      created: world.engine.now,
      version: 10,
      ...(wish.Data === undefined ? {} : { data: wish.Data }),
    });
    return c.json({ ID: id }, 201);
  });
  app.get(`/${kind}/:id`, (c) => {
    manager(engine);
    return c.json(json(find(required(c, 'id'))));
  });
  app.post(`/${kind}/:id/update`, async (c) => {
    manager(engine);
    const entry = find(required(c, 'id'));
    entry.labels = readJson(await bodyOf(c), SCHEMA).Labels;
    entry.version++;
    return c.body(null, 200);
  });
  app.delete(`/${kind}/:id`, (c) => {
    manager(engine);
    all.delete(find(required(c, 'id')).id);
    return c.body(null, 204);
  });
}

const volumes = new WeakMap<World, Map<string, { name: string; labels: Record<string, string>; created: number }>>();

/** Volumes are names, too. */
function volumeRoutes(app: App, { world, node }: Engine): void {
  if (!volumes.has(world)) volumes.set(world, new Map());
  const all = volumes.get(world) as Map<string, { name: string; labels: Record<string, string>; created: number }>;
  const key = (name: string) => `${node} ${name}`;
  const json = ({
    name,
    labels: Labels,
    created,
  }: {
    name: string;
    labels: Record<string, string>;
    created: number;
  }) => ({
    Name: name,
    Driver: 'local',
    Mountpoint: `/var/lib/docker/volumes/${name}/_data`,
    CreatedAt: timeText(world.at(created)),
    Labels,
    Scope: 'local',
    Options: {},
  });
  const find = (name: string) => {
    const found = all.get(key(name));
    if (found) return found;
    throw new ApiError(404, `get ${name}: no such volume`);
  };
  app.get('/volumes', (c) =>
    c.json({
      Volumes: [...all].filter(([one]) => one.startsWith(`${node} `)).map(([, volume]) => json(volume)),
      Warnings: null,
    }),
  );
  app.post('/volumes/create', async (c) => {
    const wish = readJson(await bodyOf(c), v.object({ Name: v.optional(v.string(), ''), Labels: labels }));
    const name = wish.Name || world.newId();
    const volume = all.get(key(name)) ?? { name, labels: wish.Labels, created: world.engine.now };
    all.set(key(name), volume);
    return c.json(json(volume), 201);
  });
  app.get('/volumes/:name', (c) => c.json(json(find(required(c, 'name')))));
  app.delete('/volumes/:name', (c) => {
    all.delete(key(find(required(c, 'name')).name));
    return c.body(null, 204);
  });
  app.post('/volumes/prune', (c) => c.json({ VolumesDeleted: null, SpaceReclaimed: 0 }));
}

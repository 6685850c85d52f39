/** Services: created, updated, rolled back, listed, inspected, removed; their logs. */

import type { ServiceState } from '../../swarm/state.js';
import { taskProcesses } from '../container-config.js';
import { hasLabels, readFilters, refuseUnknown } from './body.js';
import { type App, type Engine, jsonOf, manager, required, timeText } from './context.js';
import { ApiError } from './errors.js';
import { logs } from './logs.js';
import { askedOf, processFrom, SPEC, type Spec, specFrom, specOf, withDefaults } from './service-spec.js';
import { sourcesOf } from './tasks.js';

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

  const json = (service: ServiceState, status: boolean) => {
    const { id, version, path, created, updated, update } = service;
    const spec = specOf(world, service);
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
        hasLabels(specOf(world, service).Labels, filters.get('label') ?? []),
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
    const spec = withDefaults(await jsonOf(c, SPEC));
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
    const before = specOf(world, service);
    const text = ({ TaskTemplate: task }: Spec) => JSON.stringify([task.ContainerSpec, task.ForceUpdate]);
    if (c.req.query('rollback') === 'previous') {
      const previous = specs.get(service.id)?.previous;
      cluster.serviceRollback(service.spec.name, previous !== undefined && text(previous) !== text(before));
      if (previous) {
        taskProcesses.set(service.spec, processFrom(previous));
        specs.set(service.id, { spec: previous, previous: before });
      }
      return c.json({ Warnings: null });
    }
    const given = withDefaults(await jsonOf(c, SPEC));
    const spec = { ...given, Name: given.Name === '' ? service.spec.name : given.Name };
    if (spec.Name !== service.spec.name)
      throw new ApiError(501, 'rpc error: code = Unimplemented desc = renaming services is not supported');
    const { name: _, mode, ...change } = specFrom(engine, spec);
    if (mode !== service.spec.mode)
      throw new ApiError(501, 'rpc error: code = Unimplemented desc = service mode change is not allowed');
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

  app.get('/services/:id/logs', (c) => {
    manager(engine);
    const service = find(required(c, 'id'));
    return logs(world, c, () => sourcesOf(world, [...service.tasks]));
  });
}

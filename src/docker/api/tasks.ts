/** Tasks: listed, inspected, their logs. */

import type { TaskState } from '../../swarm/state.js';
import type { World } from '../world.js';
import { hasLabels, readFilters, refuseUnknown } from './body.js';
import { type App, type Engine, manager, required, timeText } from './context.js';
import { ApiError } from './errors.js';
import { logs } from './logs.js';
import { specOf } from './service-spec.js';

/** Whose logs `docker service logs` shows, each line with where it is from. */
export function sourcesOf({ cluster }: World, tasks: readonly TaskState[]) {
  return tasks.flatMap((task) => {
    const { container } = task;
    const details = `com.docker.swarm.node.id=${cluster.node(task.node ?? '').id},com.docker.swarm.service.id=${task.service.id},com.docker.swarm.task.id=${task.id}`;
    return container ? [{ container, prefix: `${details} ` }] : [];
  });
}

export function taskRoutes(app: App, engine: Engine): void {
  const { world } = engine;
  const { cluster } = world;
  const taskJson = (task: TaskState) => {
    const { service, container } = task;
    const { ContainerSpec, Networks, Placement, RestartPolicy } = specOf(world, service).TaskTemplate;
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
        hasLabels(specOf(world, task.service).Labels, filters.get('label') ?? []),
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
    const task = findTask(required(c, 'id'));
    return logs(world, c, () => sourcesOf(world, [task]));
  });
}

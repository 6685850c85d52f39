/** Containers: made, started, listed, stopped, removed; their logs; commands run in them (attach and exec hijack: hijack.ts). */

import { stream } from 'hono/streaming';
import * as v from 'valibot';
import { restartOf } from '../../swarm/restart.js';
import type { ContainerState } from '../../swarm/state.js';
import { ContainerIo, framed } from '../io.js';
import { nameFor } from '../names.js';
import { isPaused, pause, thaw, unpause } from '../pause.js';
import type { World } from '../world.js';
import { hasLabels, readFilters, readJson, refuseUnknown, strings, words } from './body.js';
import { inspectJson, networkIdOf, networkNames, statusOf, summaryJson } from './container-json.js';
import { CREATE, checkName, configFrom, specOf } from './container-spec.js';
import { type App, bodyOf, type Engine, flag, type Request, required, timeText } from './context.js';
import { ApiError } from './errors.js';

const UPDATE = v.object({
  RestartPolicy: v.optional(
    v.object({ Name: v.optional(v.string(), ''), MaximumRetryCount: v.optional(v.number(), 0) }),
  ),
});

const SECOND = 1_000_000_000;
const SIGNALS: Record<string, number> = { HUP: 1, INT: 2, QUIT: 3, KILL: 9, USR1: 10, USR2: 12, TERM: 15 };

export function containerRoutes(app: App, engine: Engine): void {
  const { world, node } = engine;
  const { cluster } = world;
  const find = (name: string) => cluster.container(name.replace(/^\//, ''), node);

  app.post('/containers/create', async (c) => {
    const create = readJson(await bodyOf(c), CREATE);
    if (create.Image === '') throw new ApiError(400, 'no command specified');
    const image = [...world.imagesOn(node).values()].find(
      ({ name, id }) => name === nameOf(create.Image) || id === create.Image,
    );
    if (!image) throw new ApiError(404, `No such image: ${nameOf(create.Image)}`);
    const given = c.req.query('name')?.replace(/^\//, '');
    if (given !== undefined && given !== '') checkName(given);
    const name =
      given ||
      nameFor(
        (one) => [...cluster.containers.values()].some((other) => other.node === node && other.name === one),
        world.newId(),
      );
    const spec = specOf(create, name, node);
    const discarded = spec.ports.length > 0 && spec.networks[0]?.name === 'host';
    const container = cluster.containerCreate(spec);
    world.configs.set(container.id, configFrom(create, image));
    const warnings = discarded ? ['Published ports are discarded when using host network mode'] : [];
    return c.json({ Id: container.id, Warnings: warnings }, 201);
  });

  app.get('/containers/json', (c) => {
    const filters = readFilters(c.req.query('filters'));
    refuseUnknown(filters, FILTERS);
    const all = flag(c.req.query('all')) || filters.has('status');
    const limit = Number(c.req.query('limit') ?? 0);
    const list = [...cluster.containers.values()]
      .filter(
        (one) =>
          one.node === node &&
          (all || limit > 0 || one.status === 'running' || one.status === 'restarting') &&
          matches(world, one, filters),
      )
      .sort((a, b) => b.created - a.created);
    return c.json((limit > 0 ? list.slice(0, limit) : list).map((one) => summaryJson(world, one)));
  });

  app.get('/containers/:id/json', (c) => c.json(inspectJson(world, find(required(c, 'id')))));

  /** One that cannot start is gone with `--rm`: its client waits for that (daemon/start.go). */
  const start = (container: ContainerState) => {
    try {
      cluster.containerStart(container);
    } catch (error) {
      if (world.configOf(container).autoRemove) {
        cluster.containerRemove(container);
        world.forget(container);
      }
      throw error;
    }
  };
  app.post('/containers/:id/start', (c) => {
    const container = find(required(c, 'id'));
    if (container.sandbox) return c.body(null, 304);
    start(container);
    return c.body(null, 204);
  });

  const stop = async (container: ContainerState, seconds: string | undefined) => {
    const sandbox = container.sandbox;
    thaw(world, container);
    cluster.containerStop(container, seconds === undefined ? undefined : Number(seconds) * SECOND);
    await world.until(() => container.sandbox !== sandbox || container.status !== 'running');
  };
  app.post('/containers/:id/stop', async (c) => {
    const container = find(required(c, 'id'));
    if (!container.sandbox && container.status !== 'restarting') return c.body(null, 304);
    await stop(container, c.req.query('t'));
    return c.body(null, 204);
  });
  app.post('/containers/:id/restart', async (c) => {
    const container = find(required(c, 'id'));
    if (container.sandbox) await stop(container, c.req.query('t'));
    start(container);
    return c.body(null, 204);
  });

  app.post('/containers/:id/kill', async (c) => {
    const container = find(required(c, 'id'));
    const asked = (c.req.query('signal') || 'KILL').replace(/^SIG/i, '').toUpperCase();
    const signal = SIGNALS[asked] ?? Number(asked);
    if (!(signal > 0 && signal < 65)) throw new ApiError(400, `Invalid signal: ${c.req.query('signal')}`);
    if (!container.sandbox) cluster.containerKill(container);
    // Signals that end no process: they are received, and that is all.
    else if (signal === 9 || signal === 15 || signal === 3) {
      thaw(world, container);
      cluster.containerKill(container, 128 + signal);
    } else if (signal === 2) world.ioOf(container).onInterrupt();
    if (signal === 9) await world.until(() => !container.sandbox);
    return c.body(null, 204);
  });

  app.delete('/containers/:id', async (c) => {
    const container = find(required(c, 'id'));
    cluster.containerRemove(container, flag(c.req.query('force')));
    world.forget(container);
    return c.body(null, 204);
  });

  app.post('/containers/:id/rename', (c) => {
    const name = (c.req.query('name') ?? '').replace(/^\//, '');
    if (name === '') throw new ApiError(400, 'Neither old nor new names may be empty');
    checkName(name);
    cluster.containerRename(find(required(c, 'id')), name);
    return c.body(null, 204);
  });

  app.post('/containers/:id/wait', (c) => {
    const container = find(required(c, 'id'));
    const condition = c.req.query('condition') || 'not-running';
    const { started, status } = container;
    const removed = () => !cluster.containers.has(container.id);
    const done = () => {
      if (condition === 'removed') return removed();
      if (removed()) return true;
      if (condition === 'next-exit')
        return container.status === 'exited' && (status !== 'exited' || container.started !== started);
      return container.status !== 'running';
    };
    c.header('Content-Type', 'application/json');
    return stream(c, async (out) => {
      // The client wants the head before the container has ended: it starts it after that.
      await out.write('\n');
      let gone = false;
      out.onAbort(() => {
        gone = true;
      });
      if (await world.until(done, () => gone))
        await out.write(`${JSON.stringify({ StatusCode: container.exitCode })}\n`);
    });
  });

  app.get('/containers/:id/top', (c) => {
    const container = find(required(c, 'id'));
    const computer = world.computerOf(container);
    if (!computer) throw new ApiError(409, `Container ${container.id} is not running`);
    return c.json({
      Titles: ['UID', 'PID', 'PPID', 'C', 'STIME', 'TTY', 'TIME', 'CMD'],
      Processes: computer.processes.map(({ pid, command, started }) => [
        'root',
        String(pid),
        '0',
        '0',
        timeText(world.at(started)).slice(11, 16),
        '?',
        '00:00:00',
        command,
      ]),
    });
  });

  app.get('/containers/:id/logs', (c) => {
    const container = find(required(c, 'id'));
    return logs(world, c, [{ container, prefix: '' }]);
  });

  app.post('/containers/:id/resize', (c) => {
    find(required(c, 'id'));
    return c.body(null, 200);
  });
  app.post('/containers/:id/update', async (c) => {
    const container = find(required(c, 'id'));
    const { RestartPolicy: policy } = readJson(await bodyOf(c), UPDATE);
    if (policy?.Name) container.restarts.policy = restartOf(policy.Name, policy.MaximumRetryCount);
    return c.json({ Warnings: [] });
  });
  app.post('/containers/:id/pause', (c) => {
    pause(world, find(required(c, 'id')));
    return c.body(null, 204);
  });
  app.post('/containers/:id/unpause', (c) => {
    unpause(world, find(required(c, 'id')));
    return c.body(null, 204);
  });

  app.post('/containers/prune', (c) => {
    const filters = readFilters(c.req.query('filters'));
    const gone = [...cluster.containers.values()].filter(
      (one) =>
        one.node === node &&
        !one.task &&
        one.status !== 'running' &&
        hasLabels(world.configOf(one).labels, filters.get('label') ?? []),
    );
    for (const container of gone) {
      cluster.containerRemove(container);
      world.forget(container);
    }
    return c.json({ ContainersDeleted: gone.map(({ id }) => id), SpaceReclaimed: 0 });
  });

  // --- Exec ---

  app.post('/containers/:id/exec', async (c) => {
    const container = find(required(c, 'id'));
    const wish = readJson(
      await bodyOf(c),
      v.object({
        Cmd: words,
        Tty: v.optional(v.boolean(), false),
        AttachStdin: v.optional(v.boolean(), false),
        Env: strings,
      }),
    );
    if (!wish.Cmd || wish.Cmd.length === 0) throw new ApiError(400, 'No exec command specified');
    if (container.status !== 'running') throw new ApiError(409, `Container ${container.id} is not running`);
    if (isPaused(world, container))
      throw new ApiError(409, `Container ${container.id} is paused, unpause the container before exec`);
    const id = world.newId();
    world.execs.set(id, {
      id,
      container,
      argv: wish.Cmd,
      tty: wish.Tty,
      openStdin: wish.AttachStdin,
      environment: Object.fromEntries(
        wish.Env.map((one) => [one.split('=')[0] ?? '', one.split('=').slice(1).join('=')]),
      ),
      io: new ContainerIo(wish.Tty, () => world.time),
      running: false,
      exitCode: null,
      pid: 0,
    });
    return c.json({ Id: id }, 201);
  });

  app.get('/exec/:id/json', (c) => {
    const exec = world.execs.get(required(c, 'id'));
    if (!exec) throw new ApiError(404, `No such exec instance: ${required(c, 'id')}`);
    const { id, container, argv, tty, openStdin, running, exitCode, pid } = exec;
    return c.json({
      ID: id,
      Running: running,
      ExitCode: exitCode,
      ProcessConfig: { tty, entrypoint: argv[0], arguments: argv.slice(1), privileged: false },
      OpenStdin: openStdin,
      OpenStderr: true,
      OpenStdout: true,
      CanRemove: false,
      ContainerID: container.id,
      DetachKeys: '',
      Pid: pid,
    });
  });
  app.post('/exec/:id/resize', (c) => c.body(null, 201));
}

function nameOf(reference: string): string {
  return /:[^/]+$/.test(reference) || reference.includes('@')
    ? reference.replace(/@.*$/, '').replace(/^docker\.io\/(?:library\/)?/, '')
    : `${reference.replace(/^docker\.io\/(?:library\/)?/, '')}:latest`;
}

const FILTERS = [
  'id',
  'name',
  'label',
  'status',
  'ancestor',
  'network',
  'publish',
  'expose',
  'is-task',
  'exited',
  'health',
  'before',
  'since',
  'volume',
];

function matches(world: World, container: ContainerState, filters: ReadonlyMap<string, string[]>): boolean {
  const config = world.configOf(container);
  const any = (key: string, test: (value: string) => boolean) => {
    const wanted = filters.get(key);
    return wanted === undefined || wanted.length === 0 || wanted.some(test);
  };
  return (
    any('id', (one) => container.id.startsWith(one)) &&
    any('name', (one) => new RegExp(one.replaceAll(/[.*+?()[\]{}|\\]/g, '\\$&')).test(`/${container.name}`)) &&
    hasLabels(config.labels, filters.get('label') ?? []) &&
    any('status', (one) => one === statusOf(world, container)) &&
    any('health', (one) => one === (world.healthOf(container)?.status ?? 'none')) &&
    any('ancestor', (one) => nameOf(one) === config.image.name || config.image.id.slice(7).startsWith(one)) &&
    any('network', (one) =>
      networkNames(container).some((network) => network === one || networkIdOf(world, container.node, network) === one),
    ) &&
    any('exited', (one) => container.status === 'exited' && Number(one) === container.exitCode) &&
    any('is-task', (one) => flag(one) === (container.task !== undefined)) &&
    any(
      'publish',
      (one) => container.sandbox?.publishes?.some(({ published }) => String(published) === one.split('/')[0]) ?? false,
    )
  );
}

/** `docker logs`, `docker service logs`: what was kept, and with `follow` what comes. */
export function logs(world: World, c: Request, sources: readonly { container: ContainerState; prefix: string }[]) {
  const asked = (name: string) => flag(c.req.query(name));
  const [follow, out, err, times] = [asked('follow'), asked('stdout'), asked('stderr'), asked('timestamps')];
  if (!out && !err) throw new ApiError(400, 'Bad parameters: you must choose at least one stream');
  const tail = c.req.query('tail') ?? 'all';
  const since = BigInt(Math.round(Number(c.req.query('since') ?? 0) * 1e9) || 0);
  const tty = sources.length === 1 && sources[0] !== undefined && world.configOf(sources[0].container).tty;
  c.header('Content-Type', tty ? 'application/vnd.docker.raw-stream' : 'application/vnd.docker.multiplexed-stream');
  return stream(c, async (to) => {
    const write = (prefix: string, entry: ContainerIo['log'][number]) => {
      if (!(entry.stream === 'stdout' ? out : err) || entry.time < since) return;
      const head = `${times ? `${timeText(entry.time)} ` : ''}${prefix}`;
      const data = head === '' ? entry.data : new TextEncoder().encode(head + new TextDecoder().decode(entry.data));
      void to.write(framed({ ...entry, data }, tty));
    };
    for (const { container, prefix } of sources) {
      const kept = world.ioOf(container).log;
      const last = tail === 'all' ? kept : kept.slice(Math.max(0, kept.length - Number(tail)));
      for (const entry of last) write(prefix, entry);
    }
    if (!follow) return;
    const still = world.look();
    await new Promise<void>((resolve) => {
      to.onAbort(resolve);
      for (const { container, prefix } of sources) {
        const stop = world.ioOf(container).watch({ onOutput: (entry) => write(prefix, entry), onEnd: resolve });
        to.onAbort(stop);
        if (container.status === 'exited' && sources.length === 1) resolve();
      }
    });
    still();
  });
}

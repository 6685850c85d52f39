/** Containers: made, started, listed, stopped, removed; their logs; commands run in them (attach and exec hijack: hijack.ts). */

import { stream } from 'hono/streaming';
import * as v from 'valibot';
import { restartOf } from '../../swarm/restart.js';
import type { ContainerState } from '../../swarm/state.js';
import { forgetOld } from '../exec.js';
import { ContainerIo } from '../io.js';
import { nameFor } from '../names.js';
import { isPaused, pause, thaw, unpause } from '../pause.js';
import type { World } from '../world.js';
import { readFilters, strings, wholeNumber, words } from './body.js';
import { containerFilter, nameOf } from './container-filter.js';
import { inspectJson, pidOf, summaryJson, withEndpoint } from './container-json.js';
import { CREATE, checkName, configFrom, specOf } from './container-spec.js';
import { type App, type Engine, flag, jsonOf, type Request, required } from './context.js';
import { ApiError, answerTo } from './errors.js';
import { logs } from './logs.js';
import { prunable } from './prune.js';
import { topJson } from './top.js';

const UPDATE = v.object({
  RestartPolicy: v.optional(
    v.object({ Name: v.optional(v.string(), ''), MaximumRetryCount: v.optional(v.number(), 0) }),
  ),
});

const SECOND = 1_000_000_000;
const SIGNALS = {
  HUP: 1,
  INT: 2,
  QUIT: 3,
  KILL: 9,
  USR1: 10,
  USR2: 12,
  PIPE: 13,
  ALRM: 14,
  TERM: 15,
  CHLD: 17,
  CONT: 18,
  STOP: 19,
  TSTP: 20,
  WINCH: 28,
} as const;
const { KILL } = SIGNALS;
/** Those by which servers end. */
const ENDING: ReadonlySet<number> = new Set([SIGNALS.TERM, SIGNALS.QUIT, SIGNALS.INT]);

/** Less than no time is all the time there is. @throws ApiError */
function graceOf(text: string | undefined): number | undefined {
  if (text === undefined || text === '') return undefined;
  const grace = wholeNumber(text) * SECOND;
  return grace >= 0 && Number.isSafeInteger(grace) ? grace : Number.POSITIVE_INFINITY;
}

export function containerRoutes(app: App, engine: Engine): void {
  const { world, node } = engine;
  const { cluster } = world;
  const find = (name: string) => cluster.container(name.replace(/^\//, ''), node);

  app.post('/containers/create', async (c) => {
    const create = await jsonOf(c, CREATE);
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
    const spec = specOf(create, image, name, node);
    const discarded = spec.ports.length > 0 && spec.networks[0]?.name === 'host';
    const container = world.create(spec, configFrom(create, image));
    const warnings = discarded ? ['Published ports are discarded when using host network mode'] : [];
    return c.json({ Id: container.id, Warnings: warnings }, 201);
  });

  app.get('/containers/json', (c) => {
    const filters = readFilters(c.req.query('filters'));
    const wanted = containerFilter(engine, filters);
    const all = flag(c.req.query('all')) || ['status', 'exited', 'before', 'since'].some((key) => filters.has(key));
    const limit = wholeNumber(c.req.query('limit') ?? '0');
    const list = [...cluster.containers.values()]
      .filter((one) => one.node === node && (all || limit > 0 || isUp(one)) && wanted(one))
      .sort((a, b) => b.created - a.created);
    const size = flag(c.req.query('size'));
    return c.json((limit > 0 ? list.slice(0, limit) : list).map((one) => summaryJson(world, one, size)));
  });

  app.get('/containers/:id/json', (c) =>
    c.json(inspectJson(world, find(required(c, 'id')), flag(c.req.query('size')))),
  );

  /** One that cannot start is gone with `--rm`: its client waits for that (daemon/start.go). */
  const start = (container: ContainerState) => {
    try {
      const missing = world.missingProgram(container);
      if (missing !== undefined) {
        container.exitCode = 127;
        throw new ApiError(400, notFound(world, missing));
      }
      cluster.containerStart(container);
    } catch (error) {
      if (world.configOf(container).autoRemove) {
        cluster.containerRemove(container);
      }
      throw withEndpoint(error, container, cluster.topology.engine);
    }
  };
  app.post('/containers/:id/start', (c) => {
    const container = find(required(c, 'id'));
    if (container.sandbox) return c.body(null, 304);
    start(container);
    return c.body(null, 204);
  });

  const stop = async (c: Request, container: ContainerState) => {
    const grace = graceOf(c.req.query('t'));
    const sandbox = container.sandbox;
    thaw(world, container);
    world.tell(container, 'kill', { signal: String(SIGNALS.TERM) });
    cluster.containerStop(container, grace);
    const ended = await world.until(
      () => container.sandbox !== sandbox || container.status !== 'running',
      () => c.req.raw.signal.aborted,
      // Time does not run ahead to an end that may never come.
      grace !== Number.POSITIVE_INFINITY,
    );
    if (ended) world.tell(container, 'stop');
    return ended;
  };
  app.post('/containers/:id/stop', async (c) => {
    const container = find(required(c, 'id'));
    if (!container.sandbox && container.status !== 'restarting') return c.body(null, 304);
    await stop(c, container);
    return c.body(null, 204);
  });
  app.post('/containers/:id/restart', async (c) => {
    const container = find(required(c, 'id'));
    if (container.sandbox && !(await stop(c, container))) return c.body(null, 204);
    start(container);
    world.tell(container, 'restart');
    return c.body(null, 204);
  });

  const cannotKill = world.topology.engine === '20.10' ? 'Cannot kill container' : 'cannot kill container';
  const toKill = (name: string) => {
    try {
      return find(name);
    } catch (error) {
      throw new ApiError(404, `${cannotKill}: ${name}: ${answerTo(error).message}`);
    }
  };
  app.post('/containers/:id/kill', async (c) => {
    const container = toKill(required(c, 'id'));
    const asked = (c.req.query('signal') || 'KILL').replace(/^SIG/i, '').toUpperCase();
    const signal = Object.hasOwn(SIGNALS, asked) ? SIGNALS[asked as keyof typeof SIGNALS] : Number(asked);
    if (!(signal > 0 && signal < 65)) throw new ApiError(400, `Invalid signal: ${c.req.query('signal')}`);
    const { sandbox } = container;
    if (!sandbox) {
      const who = `${world.topology.engine === '20.10' ? 'Container' : 'container'} ${container.id}`;
      throw new ApiError(409, `${cannotKill}: ${required(c, 'id')}: ${who} is not running`);
    }
    if (signal === KILL || (ENDING.has(signal) && world.hears(container))) {
      thaw(world, container);
      cluster.containerKill(container, signal === KILL ? 128 + signal : 0, signal);
      await world.until(() => container.sandbox !== sandbox);
    } else {
      // It is received, and that is all.
      world.tell(container, 'kill', { signal: String(signal) });
      if (signal === SIGNALS.INT) world.ioOf(container).onInterrupt();
    }
    return c.body(null, 204);
  });

  app.delete('/containers/:id', async (c) => {
    const container = find(required(c, 'id'));
    const force = flag(c.req.query('force'));
    if (container.sandbox && !force && world.topology.engine !== '20.10')
      throw new ApiError(
        409,
        `cannot remove container "${required(c, 'id')}": container is ${isPaused(world, container) ? 'paused and must be unpaused first' : 'running: stop the container before removing or force remove'}`,
      );
    if (container.sandbox && force) world.tell(container, 'kill', { signal: String(KILL) });
    cluster.containerRemove(container, force);
    return c.body(null, 204);
  });

  app.post('/containers/:id/rename', (c) => {
    const name = (c.req.query('name') ?? '').replace(/^\//, '');
    if (name === '') throw new ApiError(400, 'Neither old nor new names may be empty');
    const container = find(required(c, 'id'));
    checkName(name, 'Error when allocating new name: ');
    cluster.containerRename(container, name);
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
      // `docker run` and `docker start -a` wait for the end of what they are about to start: nobody is in a hurry before that.
      const ahead = condition === 'not-running';
      if (await world.until(done, () => gone, ahead))
        await out.write(`${JSON.stringify({ StatusCode: container.exitCode })}\n`);
    });
  });

  app.get('/containers/:id/top', (c) => {
    const container = find(required(c, 'id'));
    const computer = world.computerOf(container);
    if (!computer) throw new ApiError(409, `Container ${container.id} is not running`);
    world.tell(container, 'top');
    return c.json(topJson(world, computer.processes, pidOf(container), c.req.query('ps_args') || '-ef'));
  });

  app.get('/containers/:id/logs', (c) => {
    const container = find(required(c, 'id'));
    return logs(world, c, () => [{ container, prefix: '' }]);
  });

  const checkSize = (c: Request) => {
    for (const key of ['h', 'w']) wholeNumber(c.req.query(key) ?? '');
  };
  app.post('/containers/:id/resize', (c) => {
    checkSize(c);
    find(required(c, 'id'));
    return c.body(null, 200);
  });
  app.post('/containers/:id/update', async (c) => {
    const container = find(required(c, 'id'));
    const { RestartPolicy: policy } = await jsonOf(c, UPDATE);
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
    const goes = prunable(readFilters(c.req.query('filters')), world.time);
    const gone = [...cluster.containers.values()].filter(
      (one) =>
        one.node === node &&
        !one.task &&
        one.status !== 'running' &&
        goes({ labels: world.configOf(one).labels, created: world.at(one.created) }),
    );
    for (const container of gone) cluster.containerRemove(container);
    return c.json({ ContainersDeleted: gone.length > 0 ? gone.map(({ id }) => id) : null, SpaceReclaimed: 0 });
  });

  // --- Exec ---

  app.post('/containers/:id/exec', async (c) => {
    const container = find(required(c, 'id'));
    const wish = await jsonOf(
      c,
      v.object({
        Cmd: words,
        Tty: v.optional(v.boolean(), false),
        AttachStdin: v.optional(v.boolean(), false),
        Env: strings,
        WorkingDir: v.optional(v.string(), ''),
      }),
    );
    if (!wish.Cmd || wish.Cmd.length === 0) throw new ApiError(400, 'No exec command specified');
    if (container.status !== 'running') throw new ApiError(409, `Container ${container.id} is not running`);
    if (isPaused(world, container))
      throw new ApiError(409, `Container ${container.id} is paused, unpause the container before exec`);
    const id = world.newId();
    forgetOld(world.execs);
    world.execs.set(id, {
      id,
      container,
      argv: wish.Cmd,
      tty: wish.Tty,
      openStdin: wish.AttachStdin,
      directory: wish.WorkingDir,
      environment: Object.fromEntries(
        wish.Env.map((one) => [one.split('=')[0] ?? '', one.split('=').slice(1).join('=')]),
      ),
      io: new ContainerIo(wish.Tty, () => world.time),
      running: false,
      exitCode: null,
      pid: 0,
    });
    world.tell(container, `exec_create: ${wish.Cmd.join(' ')}`, { execID: id });
    return c.json({ Id: id }, 201);
  });

  const execOf = (c: Request) => {
    const exec = world.execs.get(required(c, 'id'));
    if (!exec) throw new ApiError(404, `No such exec instance: ${required(c, 'id')}`);
    return exec;
  };
  app.get('/exec/:id/json', (c) => {
    const exec = execOf(c);
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
  app.post('/exec/:id/resize', (c) => {
    checkSize(c);
    execOf(c);
    return c.body(null, 201);
  });
}

/** runc's complaint, as dockerd passes it on. */
function notFound({ topology }: World, program: string): string {
  const [task, init] =
    topology.engine === '20.10' ? ['', ''] : ['failed to create task for container: ', 'error during container init: '];
  return `${task}failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: ${init}exec: "${program}": ${program.includes('/') ? `stat ${program}: no such file or directory` : 'executable file not found in $PATH'}: unknown`;
}

const isUp = ({ status }: ContainerState) => status === 'running' || status === 'restarting';

/** A swarm by its API: what is in use stays, what is rolled back comes back, who leaves is down; logs follow tasks that come. */

import { afterAll, beforeAll, expect, test } from 'vitest';
import type { TaskState } from '../../src/swarm/state.js';
import { Served } from './served.js';

let served: Served;
let token: string;
beforeAll(async () => {
  served = await Served.of(3);
  await served.ask('POST', '/swarm/init', {});
  token = ((await served.ask('GET', '/swarm')).json as { JoinTokens: { Worker: string } }).JoinTokens.Worker;
  for (const node of [2, 3]) expect((await join(node)).status).toBe(200);
}, 60_000);
afterAll(() => served.close());

const join = (node: number) =>
  served.ask('POST', '/swarm/join', { RemoteAddrs: ['192.168.99.110:2377'], JoinToken: token }, node);
const message = (answer: { json: unknown }) => (answer.json as { message: string }).message;

interface Service {
  ID: string;
  Version: { Index: number };
  Spec: { TaskTemplate: { ContainerSpec: object } } & Record<string, unknown>;
  UpdateStatus?: { State: string; Message: string };
}

const spec = (Name: string, container: object = {}, more: object = {}) => ({
  Name,
  TaskTemplate: { ContainerSpec: { Image: 'nginx', ...container } },
  Mode: { Replicated: { Replicas: 1 } },
  ...more,
});
const create = (body: object) => served.ask('POST', '/services/create', body);
const service = async (name: string) => (await served.ask('GET', `/services/${name}`)).json as Service;
const tasksOf = (name: string): TaskState[] => [...(served.world.cluster.services.get(name)?.tasks ?? [])];
const settled = (name: string) =>
  served.world.until(
    () =>
      tasksOf(name).filter(({ desired }) => desired === 'running').length > 0 &&
      tasksOf(name).every(({ state, desired }) => (desired === 'running') === (state === 'running')),
  );

test('secrets and configs that a service names stay as long as it does', async () => {
  const made = await Promise.all(
    ['secrets', 'configs'].map((kind) => served.ask('POST', `/${kind}/create`, { Name: `my-${kind}`, Data: 'eA==' })),
  );
  const [SecretID, ConfigID] = made.map(({ json }) => (json as { ID: string }).ID);
  await create(spec('user', { Secrets: [{ SecretID, SecretName: 'x' }], Configs: [{ ConfigID, ConfigName: 'y' }] }));
  expect(message(await served.ask('DELETE', '/secrets/my-secrets'))).toBe(
    "rpc error: code = InvalidArgument desc = secret 'my-secrets' is in use by the following service: user",
  );
  expect(message(await served.ask('DELETE', `/configs/${ConfigID}`))).toBe(
    "rpc error: code = InvalidArgument desc = config 'my-configs' is in use by the following service: user",
  );
  await served.ask('DELETE', '/services/user');
  for (const kind of ['secrets', 'configs'])
    expect((await served.ask('DELETE', `/${kind}/my-${kind}`)).status).toBe(204);
});

test('a port of the mesh is taken by the service that has it', async () => {
  const ports = { EndpointSpec: { Ports: [{ TargetPort: 80, PublishedPort: 8080 }] } };
  await create(spec('first', {}, ports));
  expect(message(await create(spec('second', {}, ports)))).toContain(
    "port '8080' is already in use by service 'first'",
  );
  await served.ask('DELETE', '/services/first');
});

test('a rollback takes what processes run back, too, and an update clears what it said', async () => {
  await create(spec('web', { Env: ['A=1'] }));
  await settled('web');
  const update = async (change: object) => {
    const { Version, Spec, ID } = await service('web');
    const { status } = await served.ask('POST', `/services/${ID}/update?version=${Version.Index}`, {
      ...Spec,
      ...change,
    });
    expect(status).toBe(200);
    await settled('web');
  };
  const running = () => tasksOf('web').find(({ desired }) => desired === 'running')?.container;
  const environment = () => {
    const container = running();
    return container && served.world.configOf(container).environment.A;
  };
  await update({ TaskTemplate: { ContainerSpec: { Image: 'nginx', Env: ['A=2'] } } });
  expect(environment()).toBe('2');
  const { Version } = await service('web');
  await served.ask('POST', `/services/web/update?version=${Version.Index}&rollback=previous`, {});
  expect((await service('web')).UpdateStatus).toMatchObject({
    State: 'rollback_started',
    Message: 'manually requested rollback',
  });
  await settled('web');
  await served.world.until(() => served.world.cluster.services.get('web')?.update?.state === 'rollback_completed');
  expect(environment()).toBe('1');
  await update({ Mode: { Replicated: { Replicas: 2 } } });
  expect((await service('web')).UpdateStatus).toBeUndefined();
});

test('logs of a service name the task when details are asked for, and follow tasks that come', async () => {
  const { world } = served;
  const following = await fetch(`${served.url()}/services/web/logs?stdout=1&follow=1&details=1`);
  const reader = following.body?.getReader();
  let text = '';
  const seen = (words: string): Promise<void> =>
    (async () => {
      while (!text.includes(words)) {
        const { value, done } = (await reader?.read()) ?? { done: true };
        if (done) throw new Error(`the log is over: ${text}`);
        text += new TextDecoder().decode(value);
      }
    })();
  const { Version, Spec } = await service('web');
  await served.ask('POST', `/services/web/update?version=${Version.Index}`, {
    ...Spec,
    Mode: { Replicated: { Replicas: 3 } },
  });
  await settled('web');
  const newest = tasksOf('web').find(({ slot }) => slot === 3)?.container;
  if (!newest) throw new Error('there is a third task');
  world.ioOf(newest).output('stdout').write('from the newest\n');
  await seen('from the newest');
  expect(text).toMatch(
    /com\.docker\.swarm\.node\.id=\w+,com\.docker\.swarm\.service\.id=\w+,com\.docker\.swarm\.task\.id=\w+ from the newest/,
  );
  await reader?.cancel();
  expect((await served.ask('GET', '/services/web/logs?stdout=1')).text).not.toContain('com.docker.swarm');
  await served.ask('DELETE', '/services/web');
});

test('a node that has left is down until it is removed, or comes again', async () => {
  const states = async () =>
    (
      (await served.ask('GET', '/nodes')).json as { Description: { Hostname: string }; Status: { State: string } }[]
    ).map(({ Description: { Hostname }, Status: { State } }) => `${Hostname} ${State}`);
  expect((await served.ask('POST', '/swarm/leave', undefined, 3)).status).toBe(200);
  expect(await states()).toEqual(['node1 ready', 'node2 ready', 'node3 down']);
  expect((await served.ask('DELETE', '/nodes/node3')).status).toBe(200);
  expect(await states()).toEqual(['node1 ready', 'node2 ready']);
  expect((await join(3)).status).toBe(200);
  expect(await states()).toEqual(['node1 ready', 'node2 ready', 'node3 ready']);
  expect(message(await served.ask('DELETE', '/nodes/node3'))).toContain("is not down and can't be removed");
});

test.each([
  [{ Availability: 'gone' }, 'invalid Availability: "gone"'],
  [{ Role: 'boss' }, 'invalid Role: "boss"'],
])('node update %j is refused', async (change, words) => {
  expect(message(await served.ask('POST', '/nodes/node2/update?version=20', change))).toBe(words);
});

test('what a swarm is asked to be is told again', async () => {
  await served.ask('POST', '/swarm/update?version=10', {
    Name: 'default',
    Orchestration: { TaskHistoryRetentionLimit: 3 },
  });
  expect((await served.ask('GET', '/swarm')).json).toMatchObject({
    Spec: { Orchestration: { TaskHistoryRetentionLimit: 3 }, Raft: { HeartbeatTick: 1 } },
  });
});

test.each([{ ForceRotate: 1 }, { SigningCACert: 'a' }, { SigningCAKey: 'a' }])(
  'new certificates (%j) are refused',
  async (CAConfig) => {
    const before = (await served.ask('GET', '/swarm')).text;
    const answer = await served.ask('POST', '/swarm/update?version=10', { Labels: { a: 'b' }, CAConfig });
    expect([answer.status, message(answer)]).toEqual([501, 'swarmwire has no certificates: there is none to rotate']);
    expect((await served.ask('GET', '/swarm')).text).toBe(before);
  },
);

test('a swarm without a manager is none: another can be made', async () => {
  expect((await served.ask('POST', '/swarm/leave?force=1')).status).toBe(200);
  expect((await served.ask('GET', '/info', undefined, 2)).json).toMatchObject({ Swarm: { LocalNodeState: 'active' } });
  expect((await served.ask('POST', '/swarm/init', {})).status).toBe(200);
  expect((await served.ask('GET', '/info', undefined, 2)).json).toMatchObject({
    Swarm: { LocalNodeState: 'inactive' },
  });
  expect((await join(2)).status).toBe(200);
});

/** What is listed: filters, events, logs between two moments, processes by columns; and words when something cannot be. */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Served } from './served.js';

let served: Served;
beforeAll(async () => {
  served = await Served.of(1);
  for (const image of ['alpine', 'nginx']) await served.ask('POST', `/images/create?fromImage=${image}&tag=latest`);
  await served.ask('POST', '/networks/create', { Name: 'net1' });
  await served.ask('POST', '/networks/create', { Name: 'net2' });
  await run('box', { Image: 'alpine', Cmd: ['sleep', 'infinity'], HostConfig: { NetworkMode: 'net1' } });
  await run('web', {
    Image: 'nginx',
    Labels: { tier: 'front' },
    HostConfig: { PortBindings: { '80/tcp': [{ HostPort: '8080' }] } },
  });
  await served.ask('POST', '/containers/create?name=new', { Image: 'alpine' });
}, 60_000);
afterAll(() => served.close());

async function run(name: string, more: object): Promise<void> {
  expect((await served.ask('POST', `/containers/create?name=${name}`, more)).status).toBe(201);
  expect((await served.ask('POST', `/containers/${name}/start`)).status).toBe(204);
}

const asked = (filters: object) => encodeURIComponent(JSON.stringify(filters));

describe('docker ps --filter', () => {
  test.each([
    [{ name: ['^/web$'] }, ['web']],
    [{ name: ['^(box|web)$'] }, ['web', 'box']],
    [{ name: ['ox'] }, ['box']],
    [{ expose: ['80'] }, ['web']],
    [{ expose: ['70-90/tcp'] }, ['web']],
    [{ publish: ['8080'] }, ['web']],
    [{ publish: ['8080/udp'] }, []],
    [{ before: ['web'] }, ['box']],
    [{ since: ['box'] }, ['new', 'web']],
    [{ status: ['created'] }, ['new']],
    [{ network: ['net1'] }, ['box']],
    [{ label: ['tier=front'] }, ['web']],
    [{ volume: ['v'] }, []],
    [{ ancestor: ['alpine'] }, ['new', 'box']],
  ])('%j', async (filters, names) => {
    const { json } = await served.ask('GET', `/containers/json?all=1&filters=${asked(filters)}`);
    expect((json as { Names: string[] }[]).map(({ Names }) => Names[0])).toEqual(names.map((name) => `/${name}`));
  });

  test.each([
    [{ status: ['foo'] }, "invalid filter 'status=foo'"],
    [{ health: ['ill'] }, "invalid filter 'health=ill'"],
    [{ exited: ['x'] }, 'strconv.Atoi: parsing "x": invalid syntax'],
    [{ before: ['nobody'] }, 'No such container: nobody'],
  ])('%j is refused', async (filters, message) => {
    const { status, json } = await served.ask('GET', `/containers/json?filters=${asked(filters)}`);
    expect([status >= 400 && status < 500, json]).toEqual([true, { message }]);
  });
});

describe('docker network ls --filter, docker images --filter', () => {
  test.each([
    ['/networks', { name: ['^net'] }, ['net1', 'net2']],
    ['/networks', { dangling: ['true'] }, ['net2']],
    ['/networks', { type: ['builtin'] }, ['bridge', 'host', 'none']],
  ])('%s %j', async (path, filters, names) => {
    const { json } = await served.ask('GET', `${path}?filters=${asked(filters)}`);
    expect((json as { Name: string }[]).map(({ Name }) => Name)).toEqual(names);
  });

  test.each([
    [{ reference: ['alp*'] }, ['alpine:latest']],
    [{ reference: ['*:latest'] }, ['nginx:latest', 'alpine:latest']],
    [{ reference: ['alpine:3.*'] }, []],
    [{ dangling: ['true'] }, []],
  ])('images %j', async (filters, names) => {
    const { json } = await served.ask('GET', `/images/json?filters=${asked(filters)}`);
    expect((json as { RepoTags: string[] }[]).flatMap(({ RepoTags }) => RepoTags)).toEqual(names);
  });

  test('an image with two names loses one, and its id with the last alone', async () => {
    await served.ask('POST', '/images/create?fromImage=busybox&tag=latest');
    await served.ask('POST', '/images/busybox/tag?repo=mine/box&tag=1');
    expect((await served.ask('DELETE', '/images/mine/box:1')).json).toEqual([{ Untagged: 'mine/box:1' }]);
    expect((await served.ask('DELETE', '/images/busybox')).json).toEqual([
      { Untagged: 'busybox:latest' },
      { Deleted: expect.stringMatching(/^sha256:/) },
    ]);
  });
});

interface Event {
  Type: string;
  Action: string;
  Actor: { ID: string; Attributes: Record<string, string> };
}

async function events(filters: object, since = '1'): Promise<Event[]> {
  const until = Date.now() / 1000;
  const { text } = await served.ask('GET', `/events?since=${since}&until=${until}&filters=${asked(filters)}`);
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Event);
}

describe('docker events --since --until --filter', () => {
  const actions = (list: readonly Event[]) => list.map(({ Action }) => Action);

  test('a life in the order that dockerd tells it', async () => {
    await run('short', { Image: 'nginx', Labels: { kind: 'short' } });
    await served.ask('POST', '/containers/short/rename?name=brief');
    await served.ask('POST', '/containers/brief/stop');
    await served.ask('DELETE', '/containers/brief');
    const life = await events({ label: ['kind=short'] });
    expect(actions(life)).toEqual(['create', 'start', 'rename', 'kill', 'die', 'stop', 'destroy']);
    const [{ Actor: created }, , { Actor: renamed }] = life as [Event, Event, Event];
    expect(created).toMatchObject({ ID: expect.stringMatching(/^[0-9a-f]{64}$/), Attributes: { image: 'nginx' } });
    expect(renamed).toMatchObject({ ID: created.ID, Attributes: { name: 'brief', oldName: '/short' } });
    const networks = await events({ type: ['network'] });
    expect(networks.filter(({ Actor }) => Actor.Attributes.container === created.ID)).toMatchObject([
      { Action: 'connect', Actor: { Attributes: { name: 'bridge', type: 'bridge' } } },
      { Action: 'disconnect', Actor: { Attributes: { name: 'bridge' } } },
    ]);
  });

  test('by container, by network, by image, by event, by scope', async () => {
    expect(actions(await events({ container: ['box'] }))).toEqual(['create', 'start']);
    expect(actions(await events({ network: ['net2'] }))).toEqual(['create']);
    expect(actions(await events({ type: ['image'], image: ['alpine'] }))).toEqual(['pull']);
    expect((await events({ event: ['start'], container: ['web'] })).length).toBe(1);
    expect(await events({ scope: ['swarm'] })).toEqual([]);
    expect(await events({ container: ['box'] }, String(Date.now() / 1000))).toEqual([]);
  });

  test('a configuration network by its id', async () => {
    const { json } = await served.ask('POST', '/networks/create', { Name: 'shape', ConfigOnly: true });
    await served.ask('DELETE', '/networks/shape');
    expect((await events({ network: ['shape'] })).map(({ Action, Actor }) => [Action, Actor.ID])).toEqual(
      ['create', 'destroy'].map((action) => [action, (json as { Id: string }).Id]),
    );
  });

  test('until long after now: they are waited for', async () => {
    const over = new AbortController();
    const later = Math.floor(Date.now() / 1000) + 100 * 86_400;
    const { body } = await fetch(
      `${served.url()}/events?until=${later}&filters=${asked({ type: ['container'], event: ['create'] })}`,
      { signal: over.signal },
    );
    const first = body?.getReader().read();
    await served.ask('POST', '/containers/create?name=late', { Image: 'alpine' });
    expect(new TextDecoder().decode((await first)?.value)).toContain('"Action":"create"');
    over.abort();
    await served.ask('DELETE', '/containers/late');
  });

  test('commands in containers', async () => {
    const { json } = await served.ask('POST', '/containers/box/exec', { Cmd: ['hostname', '-i'] });
    const { Id } = json as { Id: string };
    expect((await served.ask('POST', `/exec/${Id}/start`, { Detach: true })).status).toBe(200);
    await served.world.until(() => served.world.execs.get(Id)?.exitCode === 0);
    expect(actions(await events({ event: ['exec_create', 'exec_start', 'exec_die'] }))).toEqual([
      'exec_create: hostname -i',
      'exec_start: hostname -i',
      'exec_die',
    ]);
  });
});

test('logs between two moments, and the last of them', async () => {
  await run('talker', { Image: 'alpine', Cmd: ['sh', '-c', 'echo one; sleep 2; echo two; sleep 2; echo three'] });
  const { world } = served;
  await world.until(() => world.cluster.container('talker').status === 'exited');
  const { log } = world.ioOf(world.cluster.container('talker'));
  const at = (i: number) => {
    const time = log[i]?.time ?? 0n;
    return `${time / 1_000_000_000n}.${String(time % 1_000_000_000n).padStart(9, '0')}`;
  };
  const logs = async (query: string) =>
    (await served.ask('GET', `/containers/talker/logs?stdout=1&${query}`)).text.match(/one|two|three/g);
  expect(await logs('')).toEqual(['one', 'two', 'three']);
  expect(await logs(`since=${at(1)}`)).toEqual(['two', 'three']);
  expect(await logs(`until=${at(1)}`)).toEqual(['one', 'two']);
  expect(await logs(`until=${at(1)}&tail=1`)).toEqual(['two']);
  expect(await logs('tail=0')).toBe(null);
  for (const all of ['-1', 'many']) expect(await logs(`tail=${all}`)).toEqual(['one', 'two', 'three']);
});

test.each([
  ['', 'UID PID PPID C STIME TTY TIME CMD'],
  ['aux', 'USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND'],
  ['-o pid,comm', 'PID COMMAND'],
  ['-e --cumulative', 'UID PID PPID C STIME TTY TIME CMD'],
])('docker top box %s', async (args, titles) => {
  const { json } = await served.ask('GET', `/containers/box/top?ps_args=${encodeURIComponent(args)}`);
  const { Titles, Processes } = json as { Titles: string[]; Processes: string[][] };
  expect(Titles.join(' ')).toBe(titles);
  expect(Processes[0]?.at(-1)).toBe(args.includes('comm') ? 'sleep' : 'sleep infinity');
});

describe('words', () => {
  test.each([
    [
      'POST',
      '/containers/box/rename?name=web',
      undefined,
      409,
      /^Error when allocating new name: Conflict\. .*"\/web" is/,
    ],
    [
      'POST',
      '/containers/box/rename?name=x',
      undefined,
      400,
      /^Error when allocating new name: Invalid container name/,
    ],
    ['POST', '/containers/box/kill?signal=FOO', undefined, 400, /^Invalid signal: FOO$/],
    [
      'POST',
      '/containers/new/kill',
      undefined,
      409,
      /^Cannot kill container: new: Container [0-9a-f]+ is not running$/,
    ],
    ['POST', '/containers/nobody/kill', undefined, 404, /^Cannot kill container: nobody: No such container: nobody$/],
    ['POST', '/exec/none/resize?h=1&w=1', undefined, 404, /^No such exec instance: none$/],
    ['POST', '/containers/box/resize?h=x', undefined, 400, /^strconv\.Atoi: parsing "x"/],
    ['DELETE', '/networks/net1', undefined, 403, /network net1 id [0-9a-f]+ has active endpoints$/],
    ['POST', '/build', undefined, 501, /^swarmwire builds no images/],
    ['GET', '/images/search?term=x', undefined, 501, /^swarmwire asks no registry/],
    ['GET', '/plugins/privileges?remote=x', undefined, 501, /^swarmwire has no managed plugins/],
    ['DELETE', '/plugins/x', undefined, 501, /^swarmwire has no managed plugins/],
    ['POST', '/networks/create', [], 400, /cannot unmarshal array/],
    ['GET', '/containers/%E0%A4%A/json', undefined, 400, /URI malformed/],
  ])('%s %s', async (method, path, body, status, message) => {
    const answer = await served.ask(method, path, body);
    expect([answer.status, answer.json]).toEqual([status, { message: expect.stringMatching(message) }]);
  });

  test('a body that does not say that it is JSON is not read', async () => {
    const response = await fetch(`${served.url()}/containers/create`, { method: 'POST', body: '{"Image":"alpine"}' });
    expect([response.status, await response.json()]).toEqual([
      400,
      { message: expect.stringMatching(/^unsupported Content-Type header \(text\/plain/) },
    ]);
  });

  test.each(['/containers/create', '/exec/none/start', '/build'])(
    '%s: a body without an end is not read on',
    async (path) => {
      let sent = 0;
      const body = new ReadableStream({
        pull(controller) {
          sent += 1 << 16;
          if (sent > 64 << 20) controller.close();
          else controller.enqueue(new Uint8Array(1 << 16).fill(120));
        },
      });
      const wish = {
        method: 'POST',
        body,
        duplex: 'half',
        headers: { 'Content-Type': 'application/json' },
      } as RequestInit;
      const status = await fetch(`${served.url()}${path}`, wish).then(
        (response) => response.status,
        () => 'closed',
      );
      expect([413, 501, 'closed']).toContain(status);
      expect(sent).toBeLessThan(16 << 20);
      expect((await served.ask('GET', '/_ping')).text).toBe('OK');
    },
  );
});

test('a program that is not there keeps its container from starting', async () => {
  await served.ask('POST', '/containers/create?name=wrong', { Image: 'alpine', Cmd: ['no-such-program'] });
  expect(await served.ask('POST', '/containers/wrong/start')).toMatchObject({
    status: 400,
    json: {
      message: expect.stringMatching(/OCI runtime create failed: .*exec: "no-such-program": executable file not found/),
    },
  });
  expect((await served.ask('GET', '/containers/wrong/json')).json).toMatchObject({
    State: { Status: 'created', ExitCode: 127 },
  });
});

test('SIGTERM ends a server, and not a shell that is process 1', async () => {
  await run('server', { Image: 'nginx' });
  for (const name of ['server', 'box'])
    expect((await served.ask('POST', `/containers/${name}/kill?signal=TERM`)).status).toBe(204);
  const status = (name: string) => served.world.cluster.container(name).status;
  expect([status('server'), status('box')]).toEqual(['exited', 'running']);
});

test('whoever is about to start a container and waits for its end does not hurry time', async () => {
  const { engine } = served.world;
  await served.ask('POST', '/containers/create?name=later', { Image: 'alpine', Cmd: ['sleep', '60'] });
  const before = engine.now;
  const waiting = new AbortController();
  await fetch(`${served.url()}/containers/later/wait?condition=next-exit`, { method: 'POST', signal: waiting.signal });
  expect((await served.ask('POST', '/containers/later/start')).status).toBe(204);
  expect(engine.now - before).toBeLessThan(30e9);
  waiting.abort();
});

/** Engines of version 28: what their API says otherwise than 20.10's. */

import { afterAll, beforeAll, expect, test } from 'vitest';
import { Served } from './served.js';

let served: Served;
beforeAll(async () => {
  served = await Served.of(1, undefined, '28');
  await served.ask('POST', '/images/create?fromImage=nginx&tag=latest');
}, 60_000);
afterAll(() => served.close());

test('speak 1.51, and whatever is older down to 1.24', async () => {
  expect((await served.ask('GET', '/version')).json).toMatchObject({ ApiVersion: '1.51', MinAPIVersion: '1.24' });
  const response = await fetch(`${served.url()}/_ping`, { method: 'HEAD' });
  expect(Object.fromEntries(response.headers)).toMatchObject({
    'api-version': '1.51',
    'docker-experimental': 'false',
    ostype: 'linux',
    swarm: 'inactive',
    pragma: 'no-cache',
  });
  for (const version of ['1.24', '1.44', '1.51'])
    expect((await served.ask('GET', `/v${version}/containers/json`)).status).toBe(200);
});

test('list images that were made until a moment', async () => {
  const names = async (until: string) => {
    const { json } = await served.ask(
      'GET',
      `/images/json?filters=${encodeURIComponent(JSON.stringify({ until: [until] }))}`,
    );
    return (json as { RepoTags: string[] }[]).flatMap(({ RepoTags }) => RepoTags);
  };
  expect(await names('1000')).toEqual([]);
  expect(await names('99999999999')).toEqual(['nginx:latest']);
});

test('a published port is bound at [::] as well, and answers there', async () => {
  await served.ask('POST', '/networks/create', { Name: 'net1' });
  await served.ask('POST', '/containers/create?name=web', {
    Image: 'nginx',
    HostConfig: { NetworkMode: 'net1', PortBindings: { '80/tcp': [{ HostPort: '8080' }] } },
  });
  expect((await served.ask('POST', '/containers/web/start')).status).toBe(204);
  const [listed] = (await served.ask('GET', '/containers/json')).json as { Ports: object[] }[];
  expect(listed?.Ports).toMatchObject([
    { IP: '0.0.0.0', PublicPort: 8080 },
    { IP: '::', PublicPort: 8080 },
  ]);
  const { world } = served;
  const curl = world.machine('node1').run(['curl', '-s', '-o', '/dev/null', 'http://[::1]:8080/']);
  await world.until(() => curl?.task.done === true);
  expect(curl?.task.value).toBe(0);
});

test('say names apart from aliases, and that a network has IPv4', async () => {
  const { json } = await served.ask('GET', '/containers/web/json');
  const { net1 } = (json as { NetworkSettings: { Networks: Record<string, object> } }).NetworkSettings.Networks;
  expect(net1).toMatchObject({ Aliases: null, DNSNames: ['web', expect.stringMatching(/^[0-9a-f]{12}$/)] });
  expect((await served.ask('GET', '/networks/net1')).json).toMatchObject({ EnableIPv4: true, EnableIPv6: false });
});

test('have words of their own', async () => {
  const said = async (method: string, path: string) =>
    ((await served.ask(method, path)).json as { message: string }).message;
  expect(await said('DELETE', '/containers/web')).toBe(
    'cannot remove container "web": container is running: stop the container before removing or force remove',
  );
  expect(await said('POST', '/containers/nobody/kill')).toBe(
    'cannot kill container: nobody: No such container: nobody',
  );
  expect(await said('DELETE', '/networks/net1')).toMatch(
    /^error while removing network: network net1 has active endpoints \(name:"web" id:"[0-9a-f]{12}"\)$/,
  );
});

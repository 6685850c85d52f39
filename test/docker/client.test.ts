/** The real docker command, and the real Python library, against engines that this test serves. */

import { afterEach, describe, expect, test } from 'vitest';
import { CLIENTS, has } from './clients.js';
import { Served } from './served.js';

const PYTHON = ['/usr/bin/python3', 'python3'].find((program) => has(program, ['-c', 'import docker']));
const SLOW = 180_000;

let served: Served | undefined;
afterEach(() => {
  served?.close();
  served = undefined;
});

test.skipIf(CLIENTS.size > 0)('there is no docker command on this machine: its tests are skipped', () => {});

describe.each([...CLIENTS])('%s', (_, program) => {
  const session = async (nodes: number) => {
    const started = await Served.of(nodes);
    served = started;
    return (line: string, node = 1, typed?: string) =>
      started.client(program, line.split(' '), { node, ...(typed === undefined ? {} : { typed }) });
  };

  test('the bridge tutorial: four alpine containers on two networks', { timeout: SLOW }, async () => {
    const docker = await session(1);
    await docker('network create --driver bridge alpine-net');
    for (const name of ['alpine1', 'alpine2', 'alpine4'])
      await docker(`run -dit --name ${name} --network alpine-net alpine ash`);
    await docker('run -dit --name alpine3 alpine ash');
    await docker('network connect bridge alpine4');
    expect((await docker('exec alpine1 ping -c 2 alpine2')).out).toMatch(
      /^PING alpine2 \(172\.18\.0\.3\): 56 data bytes\n(.*\n)+2 packets transmitted, 2 packets received, 0% packet loss/m,
    );
    expect(await docker('exec alpine1 ping -c 2 alpine3')).toMatchObject({
      status: 1,
      err: expect.stringContaining("ping: bad address 'alpine3'"),
    });
    expect((await docker('exec alpine1 ping -c 1 -W 1 172.17.0.2')).status).toBe(1);
    expect((await docker('exec alpine4 ping -c 2 172.17.0.2')).status).toBe(0);
    const { out } = await docker('network inspect alpine-net');
    const [network] = JSON.parse(out) as { Containers: Record<string, { Name: string; IPv4Address: string }> }[];
    expect(
      Object.values(network?.Containers ?? {})
        .map(({ Name, IPv4Address }) => `${Name} ${IPv4Address}`)
        .sort(),
    ).toEqual(['alpine1 172.18.0.2/16', 'alpine2 172.18.0.3/16', 'alpine4 172.18.0.4/16']);
    expect((await docker('container stop alpine1 alpine2 alpine3 alpine4')).out).toBe(
      'alpine1\nalpine2\nalpine3\nalpine4\n',
    );
    expect((await docker('container rm alpine1 alpine2 alpine3 alpine4')).status).toBe(0);
    expect((await docker('network rm alpine-net')).status).toBe(0);
  });

  test('run, logs, attach and exec carry what is printed, typed, and how it ended', { timeout: SLOW }, async () => {
    const docker = await session(1);
    expect((await docker('run --rm alpine echo hello')).out).toBe('hello\n');
    expect((await docker('run alpine sh -c', 1)).status).not.toBe(0);
    expect(await docker('run -i --rm alpine sh', 1, 'hostname -i; exit 7\n')).toMatchObject({
      status: 7,
      out: '172.17.0.2\n',
    });
    await docker('run -d --name web1 -p 8000:80 nginx:alpine');
    expect((await docker('port web1')).out).toBe('80/tcp -> 0.0.0.0:8000\n');
    expect((await docker('exec web1 wget -qO- http://127.0.0.1')).out).toContain('Welcome to nginx!');
    expect((await docker('logs web1')).out).toMatch(/^127\.0\.0\.1 .*"GET \/ HTTP\/1\.1" 200/);
    expect((await docker('exec web1 no-such-program')).status).toBe(126);
    expect((await docker('ps --format {{.Names}}|{{.Ports}}')).out).toBe('web1|0.0.0.0:8000->80/tcp\n');
    expect((await docker('rm -f web1')).status).toBe(0);
    expect((await docker('ps -aq')).out.trim().split('\n')).toHaveLength(1);
  });

  test('the swarm tutorial: three nodes, five replicas, the mesh', { timeout: SLOW }, async () => {
    const docker = await session(3);
    await docker('swarm init --advertise-addr 192.168.99.110');
    const token = (await docker('swarm join-token -q worker')).out.trim();
    for (const node of [2, 3])
      expect((await docker(`swarm join --token ${token} 192.168.99.110:2377`, node)).out).toBe(
        'This node joined a swarm as a worker.\n',
      );
    await docker('network create -d overlay nginx-net');
    const created = await docker(
      'service create --detach --name my-nginx --publish target=80,published=80 --replicas=5 --network nginx-net nginx',
    );
    expect(created.status).toBe(0);
    await served?.world.until(() =>
      [...(served?.world.cluster.services.get('my-nginx')?.tasks ?? [])].every(({ state }) => state === 'running'),
    );
    expect((await docker('service ls --format {{.Name}}|{{.Replicas}}|{{.Ports}}')).out).toBe(
      'my-nginx|5/5|*:80->80/tcp\n',
    );
    expect((await docker('node ls --format {{.Hostname}}|{{.Status}}|{{.ManagerStatus}}')).out).toBe(
      'node1|Ready|Leader\nnode2|Ready|\nnode3|Ready|\n',
    );
    expect((await docker('service ls', 2)).err).toContain('This node is not a swarm manager');
    // The mesh: from the client outside, through any node.
    const client = served?.world.machine('client');
    for (const node of [110, 111, 112]) {
      let out = '';
      const curl = client?.run(['curl', '-s', `http://192.168.99.${node}/`], {
        stdout: { write: (data) => (out += typeof data === 'string' ? data : new TextDecoder().decode(data)) },
      });
      await served?.world.until(() => curl?.task.done === true);
      expect(out).toContain('Welcome to nginx!');
    }
    expect((await docker('service rm my-nginx')).status).toBe(0);
    expect((await docker('network rm nginx-net')).status).toBe(0);
  });
});

test.skipIf(PYTHON === undefined)('the Python library makes, runs and removes', { timeout: SLOW }, async () => {
  const started = await Served.of(1);
  served = started;
  const program = `
import docker
client = docker.from_env()
client.images.pull('alpine', tag='latest')
network = client.networks.create('py-net', driver='bridge')
box = client.containers.run('alpine', ['sleep', 'infinity'], name='box', network='py-net', detach=True)
code, output = box.exec_run(['ping', '-c', '1', 'box'])
print(code, b'1 packets received' in output)
print(client.containers.run('alpine', ['echo', 'from python'], remove=True).decode().strip())
box.reload()
print(box.status, box.attrs['NetworkSettings']['Networks']['py-net']['IPAddress'])
box.remove(force=True)
network.remove()
print([one.name for one in client.networks.list(names=['py-net'])])
`;
  expect(await started.client(PYTHON ?? '', ['-c', program])).toEqual({
    status: 0,
    out: '0 True\nfrom python\nrunning 172.18.0.2\n[]\n',
    err: '',
  });
});

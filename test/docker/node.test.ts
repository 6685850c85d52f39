/** `swarmwire node`: commands on the nodes of a swarm that this test serves, by the command itself and over the wire. */

import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type Ended, Served } from './served.js';

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const STACK = `
services:
  web: { image: nginx, ports: ["8080:80"], networks: [back], deploy: { replicas: 2 } }
  cli: { image: alpine, networks: [back], deploy: { placement: { constraints: [node.role == manager] } } }
networks: { back: {} }
`;

// Each command is a process of its own, and a busy machine takes its time to start one.
vi.setConfig({ testTimeout: 240_000 });

let served: Served;
beforeAll(async () => {
  served = await Served.of(2, STACK);
}, 60_000);
afterAll(() => served.close());

const on = (node: string, command: readonly string[], typed?: string): Promise<Ended> =>
  served.client(process.execPath, [MAIN, 'node', node, '--', ...command], {
    seconds: 90,
    ...(typed === undefined ? {} : { typed }),
  });

describe('swarmwire node', () => {
  test("prints what the command prints, and ends with the command's status", async () => {
    const { status, out } = await on('node1', ['ip', '-4', '-o', 'addr', 'show', 'eth0']);
    expect(status).toBe(0);
    expect(out).toBe(
      '2: eth0    inet 192.168.99.110/24 scope global eth0\\       valid_lft forever preferred_lft forever\n',
    );
    expect(await on('node2', ['ip', 'link', 'show', 'nope'])).toEqual({
      status: 1,
      out: '',
      err: 'Device "nope" does not exist.\n',
    });
    expect(await on('node1', ['nothing'])).toEqual({ status: 127, out: '', err: 'nothing: command not found\n' });
  });

  test('takes a line for a shell, and passes standard input on', async () => {
    expect((await on('node1', ['hostname; ip netns exec nope ls || echo $?'])).out).toBe('node1\n255\n');
    expect((await on('node1', ['grep', 'b'], 'a\nb\nbc\n')).out).toBe('b\nbc\n');
    expect((await on('node1', [], 'cd /var/run\npwd\n')).out).toBe('/var/run\n');
  });

  test('a node of the swarm may be asked through any engine; one that there is not is named', async () => {
    const through = await served.client(process.execPath, [MAIN, 'node', 'node1', '--', 'hostname'], { node: 2 });
    expect(through.out).toBe('node1\n');
    const { status, err } = await on('node9', ['hostname']);
    expect(status).toBe(2);
    expect(err).toBe('swarmwire: node: there is no node node9; there are node1, node2, client\n');
  });

  test('says where it looked if no swarm is served there', async () => {
    const { status, err } = await served.client(process.execPath, [
      MAIN,
      'node',
      '--host',
      'tcp://127.0.0.1:1',
      'node1',
      '--',
      'hostname',
    ]);
    expect(status).toBe(2);
    expect(err).toContain('swarmwire: no swarm is served at tcp://127.0.0.1:1 (ECONNREFUSED)');
  });

  test('Ctrl-C reaches the command, which sums up', async () => {
    const child = spawn(process.execPath, [MAIN, 'node', 'node1', '--', 'ping', '192.168.99.111'], {
      env: { ...process.env, DOCKER_HOST: served.engines[0]?.url },
    });
    // Once: a second Ctrl-C is for the client itself, and ends it where it stands.
    let typed = false;
    const { out, status } = await outputOf(child, (text) => {
      if (!typed && text.includes('icmp_seq=2')) typed = child.kill('SIGINT');
    });
    expect(status).toBe(0);
    expect(out).toMatch(/--- 192\.168\.99\.111 ping statistics ---\n2 packets transmitted, 2 received, 0% packet loss/);
  });

  test('a host outside has no Docker', async () => {
    expect((await on('client', ['systemctl', 'restart', 'docker'])).status).toBe(5);
    expect((await on('client', ['netstat', '-tulpn'])).out).not.toContain('dockerd');
  });

  test('shows the namespaces of the swarm, and what is in them', async () => {
    const { out } = await on('node1', ['ls', '/var/run/docker/netns']);
    const names = out.trim().split('\n');
    expect(names.filter((name) => /^1-[a-z0-9]{10}$/.test(name))).toHaveLength(2);
    expect(names.filter((name) => /^lb_[a-z0-9]{9}$/.test(name))).toHaveLength(1);
    expect(names).toContain('ingress_sbox');
    const inside = await on('node1', ['nsenter', '--net=/var/run/docker/netns/ingress_sbox', 'ipvsadm', '-ln']);
    expect(inside.out).toMatch(
      /^IP Virtual Server version 1\.2\.1 \(size=4096\)\nProt LocalAddress:Port Scheduler Flags\n {2}-> RemoteAddress:Port {11}Forward Weight ActiveConn InActConn\nFWM {2}256 rr\n( {2}-> 10\.0\.0\.\d+:0 +Masq {4}1 {6}0 {10}0 {9}\n){2}$/,
    );
  });
});

function outputOf(child: ChildProcess, seen: (out: string) => void): Promise<{ status: number | null; out: string }> {
  let out = '';
  child.stdout?.on('data', (data: Buffer) => {
    out += data.toString();
    seen(out);
  });
  return new Promise((resolve) => child.on('close', (status) => resolve({ status, out })));
}

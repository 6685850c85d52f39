/** What people type in containers, in the words of Alpine's busybox and of Debian's tools; a terminal's keys; captures taken inside. */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { unpacked } from '../../src/docker/api/tar.js';
import { ContainerIo } from '../../src/docker/io.js';
import { Pipe } from '../../src/programs/index.js';
import { Served } from './served.js';

let served: Served;
beforeAll(async () => {
  served = await Served.of(1);
  await served.ask('POST', '/networks/create', { Name: 'net' });
  for (const [name, image] of [
    ['alp', 'alpine'],
    ['deb', 'debian'],
    ['web', 'nginx'],
    ['red', 'redis'],
  ]) {
    await served.ask('POST', `/images/create?fromImage=${image}&tag=latest`);
    const server = name === 'web' || name === 'red';
    const { status } = await served.ask('POST', `/containers/create?name=${name}`, {
      Image: image,
      ...(server ? {} : { Cmd: ['sleep', 'infinity'] }),
      HostConfig: { NetworkMode: 'net' },
    });
    expect(status).toBe(201);
    expect((await served.ask('POST', `/containers/${name}/start`)).status).toBe(204);
  }
}, 60_000);
afterAll(() => served.close());

const computer = (name: string) => {
  const found = served.world.computerOf(served.world.cluster.container(name));
  if (!found) throw new Error(`${name} does not run`);
  return found;
};

interface Ran {
  status: number | undefined;
  out: string;
  err: string;
}

async function run(where: string, line: string, typed = ''): Promise<Ran> {
  const [stdin, stdout, stderr] = [new Pipe(), new Pipe(), new Pipe()];
  stdin.write(typed);
  stdin.end();
  const started = computer(where).run(['sh', '-c', line], { stdin, stdout, stderr });
  await served.world.until(() => started?.task.done === true);
  const text = (pipe: Pipe) => new TextDecoder().decode(pipe.taken());
  return { status: started?.task.value, out: text(stdout), err: text(stderr) };
}

describe('one-liners', () => {
  test.each([
    ['printf "a%sb%03d\\n" x 7', 'axb007\n'],
    ['printf "%s\\n" one two', 'one\ntwo\n'],
    ['echo -e "a\\tb\\x41\\r" | wc -c', '6\n'],
    ['[ -f /etc/hosts ] && echo yes', 'yes\n'],
    ['test 3 -gt 4 || echo no', 'no\n'],
    ['[ ! -d /nowhere ] && echo none', 'none\n'],
    ['echo abc | tr a-c A-C | tr -d B', 'AC\n'],
    ['echo "a   b" | tr -s " "', 'a b\n'],
    ['whoami; pwd; which ping', 'root\n/\n/usr/bin/ping\n'],
    ['true && false || echo end', 'end\n'],
    ['env pwd 2>/dev/null; /bin/pwd', '/\n'],
    ['cat /sys/class/net/eth0/address', '02:42:ac:12:00:02\n'],
    ['hostname -I', '172.18.0.2 \n'],
  ])('%s', async (line, out) => {
    expect((await run('alp', line)).out.replace(/^(?:[A-Z]+=.*\n)+/, '')).toBe(out);
  });

  test('date +FORMAT, and timeout, which ends what goes on', async () => {
    expect((await run('alp', 'date +%Y-%m-%dT%H:%M:%S')).out).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\n$/);
    const { out } = await run('deb', 'timeout 3 ping -i 1 web');
    expect(out).toMatch(/\n[34] packets transmitted, [34] received, 0% packet loss/);
    expect((await run('deb', 'timeout 1 sleep 5; echo $?')).out).toBe('124\n');
    expect((await run('deb', 'timeout 5 hostname')).status).toBe(0);
  });
});

describe("Debian's tools", () => {
  test.each([
    [
      'ping -c 1 web',
      /^PING web \(172\.18\.0\.4\) 56\(84\) bytes of data\.\n64 bytes from web\.net \(172\.18\.0\.4\): icmp_seq=1 /,
    ],
    ['ping -c 1 web', /\nrtt min\/avg\/max\/mdev = [\d./]+ ms\n$/],
    ['ping -n -c 1 web', /\n64 bytes from 172\.18\.0\.4: icmp_seq=1 /],
    ['ip -br addr show eth0', /^eth0@if\d+ +UP +172\.18\.0\.3\/16 \n$/],
    ['ip -s link show eth0', /\n {4}RX: {2}bytes packets errors dropped +missed +mcast/],
    ['ip route get 172.18.0.4', /^172\.18\.0\.4 dev eth0 src 172\.18\.0\.3 uid 0 \n/],
    [
      'nslookup web',
      /^Server:\t\t127\.0\.0\.11\nAddress:\t127\.0\.0\.11#53\n\nNon-authoritative answer:\nName:\tweb\nAddress: 172\.18\.0\.4\n\n$/,
    ],
    ['host web', /^web has address 172\.18\.0\.4\n$/],
    ['host 172.18.0.4', /^4\.0\.18\.172\.in-addr\.arpa domain name pointer web\.net\.\n$/],
    ['getent hosts web', /^172\.18\.0\.4 {6}web\n$/],
    ['ps -ef', /^UID +PID +PPID +C STIME TTY +TIME CMD\nroot +1 +0 .* sleep infinity\n/],
    ['ps aux', /^USER +PID %CPU .*COMMAND\nroot +1 .* sleep infinity\n/],
    ['ss -tln', /^State +Recv-Q/],
  ])('%s', async (line, out) => {
    expect((await run('deb', line)).out).toMatch(out);
  });

  test.each([
    ['ip addr add 10.0.0.1/24 dev eth0', 2, 'RTNETLINK answers: Operation not permitted\n'],
    ['ip link set eth0 down', 2, 'RTNETLINK answers: Operation not permitted\n'],
    ['ip addr ad 10.0.0.1/24 dev eth0', 2, 'RTNETLINK answers: Operation not permitted\n'],
    ['ip -f inet addr add 10.0.0.1/24 dev eth0', 2, 'RTNETLINK answers: Operation not permitted\n'],
    ['ip link se eth0 down', 2, 'RTNETLINK answers: Operation not permitted\n'],
    ['ip route de default', 2, 'RTNETLINK answers: Operation not permitted\n'],
    ['ip netns add a', 2, 'RTNETLINK answers: Operation not permitted\n'],
    ['ip -n a addr', 2, 'RTNETLINK answers: Operation not permitted\n'],
    ['ip -4 addr show nope', 1, 'Device "nope" does not exist.\n'],
    ['ip addr show nope', 1, 'Device "nope" does not exist.\n'],
    ['ip foo', 1, 'Object "foo" is unknown, try "ip help".\n'],
  ])('%s', async (line, status, err) => {
    expect(await run('deb', line)).toEqual({ status, out: '', err });
  });
});

test('nginx says what it is, and writes its log as nginx does', async () => {
  expect((await run('alp', 'curl -sI web')).out).toMatch(
    /^HTTP\/1\.1 200 OK\r\nServer: nginx\/1\.[\d.]+\r\nContent-Type: text\/html\r\n/,
  );
  const { err } = await run('alp', 'curl -sv -o /dev/null -A tester http://web/page');
  expect(err).toMatch(
    /^\* {3}Trying 172\.18\.0\.4:80\.\.\.\n\* Connected to web \(172\.18\.0\.4\) port 80 \(#0\)\n> GET \/page HTTP\/1\.1\n> Host: web\n/,
  );
  expect(err).toMatch(/\n> \n< HTTP\/1\.1 200 OK\n(?:< .+\n)+< \n\* Closing connection 0\n$/);
  const log = served.world
    .ioOf(served.world.cluster.container('web'))
    .log.map(({ data }) => new TextDecoder().decode(data));
  expect(log.at(-1)).toMatch(
    /^172\.18\.0\.2 - - \[\d\d\/[A-Z][a-z]{2}\/\d{4}:\d\d:\d\d:\d\d \+0000\] "GET \/page HTTP\/1\.1" 200 \d+ "-" "tester" "-"\n$/,
  );
});

describe('redis', () => {
  test('keeps what redis-cli sets', async () => {
    expect((await run('alp', 'redis-cli -h red ping; redis-cli -h red set greeting "hello you"')).out).toBe(
      'PONG\nOK\n',
    );
    expect((await run('red', 'redis-cli', 'GET greeting\nincr hits\nincr hits\nkeys *\nget none\nexit\n')).out).toBe(
      'hello you\n1\n2\ngreeting\nhits\n\n',
    );
  });
  test('answers a bare line, what it does not know, and nobody at another port', async () => {
    expect((await run('alp', 'printf "PING\\r\\n" | nc -w 2 red 6379')).out).toBe('+PONG\r\n');
    expect((await run('alp', 'redis-cli -h red hgetall x')).out).toBe(
      "ERR unknown command 'hgetall', with args beginning with: 'x' \n",
    );
    expect(await run('alp', 'redis-cli -h red -p 6380 ping')).toEqual({
      status: 1,
      out: '',
      err: 'Could not connect to Redis at red:6380: Connection refused\n',
    });
  });
});

describe('a terminal', () => {
  async function typing(keys: readonly string[]): Promise<string> {
    const { world } = served;
    const io = new ContainerIo(true, () => world.time);
    let seen = '';
    io.watch({ onOutput: ({ data }) => (seen += new TextDecoder().decode(data)) });
    const started = computer('alp').run(['sh'], {
      stdin: io.stdin,
      stdout: io.output('stdout'),
      stderr: io.output('stderr'),
      terminal: true,
      directory: '/',
    });
    io.onInterrupt = () => started?.interrupt();
    for (const key of keys) {
      io.type(new TextEncoder().encode(key));
      const until = world.engine.now + 1e9;
      await world.until(() => world.engine.now > until);
    }
    expect(started?.task.done).toBe(true);
    return seen;
  }

  test('Ctrl-D ends what reads, and the shell when that reads', async () => {
    expect(await typing(['cat\n', 'abc\n', '\x04', 'echo on\n', '\x04'])).toBe(
      '/ # cat\r\nabc\r\nabc\r\n/ # echo on\r\non\r\n/ # ',
    );
  });
  test('Ctrl-C ends what runs, and the shell goes on', async () => {
    expect(await typing(['sleep 100\n', '\x03', 'echo $?\n', 'exit\n'])).toBe(
      '/ # sleep 100\r\n^C/ # echo $?\r\n130\r\n/ # exit\r\n',
    );
  });
  test('arrows bring lines back', async () => {
    expect(await typing(['echo one\n', 'echo two\n', '\x1b[A\x1b[A', '\x1b[B\x1b[A\n', '\x1b[C', 'exit\n'])).toMatch(
      /two\r\n\/ # (?:echo two|echo one|[\b ]*)+\r\none\r\n\/ # exit\r\n$/,
    );
  });
});

describe('tcpdump', () => {
  test('writes a file that docker cp brings out as it is, and reads it again', async () => {
    const { world } = served;
    const dump = computer('alp').run(['tcpdump', '-i', 'eth0', '-w', '/tmp/x.pcap', '-c', '4', 'icmp']);
    expect((await run('alp', 'ping -c 2 web')).status).toBe(0);
    await world.until(() => dump?.task.done === true);
    const response = await fetch(`${served.url()}/containers/alp/archive?path=/tmp/x.pcap`);
    const [file] = unpacked(new Uint8Array(await response.arrayBuffer())) ?? [];
    const folder = mkdtempSync(join(tmpdir(), 'swarmwire-'));
    writeFileSync(join(folder, 'x.pcap'), file?.data ?? '');
    const shown = spawnSync('tshark', ['-r', join(folder, 'x.pcap'), '-T', 'fields', '-e', 'icmp.type']);
    rmSync(folder, { recursive: true });
    if (shown.error === undefined) expect(shown.stdout.toString()).toBe('8\n0\n8\n0\n');
    const { out } = await run('alp', 'tcpdump -nr /tmp/x.pcap; cat /tmp/x.pcap | wc -c');
    expect(out.match(/ICMP echo (?:request|reply)/g)).toHaveLength(4);
    expect(file?.data.length).toBe(24 + 4 * (16 + 98));
  });

  test('writes into a pipe as frames pass', async () => {
    const pieces: Uint8Array[] = [];
    const dump = computer('web').run(['tcpdump', '-U', '-w', '-', 'icmp'], {
      stdout: {
        write: (data) => pieces.push(typeof data === 'string' ? new TextEncoder().encode(data) : data.slice()),
      },
      stderr: new Pipe(),
    });
    expect((await run('alp', 'ping -c 1 web')).status).toBe(0);
    await served.world.until(() => Buffer.concat(pieces).length >= 24 + 2 * (16 + 98));
    expect(dump?.task.done).toBe(false);
    dump?.interrupt();
  });
});

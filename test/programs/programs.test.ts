/** What programs print in a swarm, and what they send for it. */

import { beforeAll, describe, expect, test } from 'vitest';
import { text, World } from './world.js';

const STACK = `
services:
  web: { image: nginx, ports: ["8080:80"], networks: [back], deploy: { replicas: 2, placement: { constraints: [node.role == worker] } } }
  cli: { image: alpine, networks: [back], deploy: { placement: { constraints: [node.role == manager] } } }
networks: { back: {} }
`;
const CLI = 'node1/task-cli.1';
let world: World;
beforeAll(async () => {
  world = await World.of(STACK);
});
const run = (command: string, where = CLI) => world.run(where, command);

describe('ping', () => {
  test("speaks busybox's words in a container, by name and address", () => {
    const { status, out } = run('ping -c 2 tasks.web');
    expect(status).toBe(0);
    expect(out).toMatch(
      /^PING tasks\.web \((10\.0\.1\.\d+)\): 56 data bytes\n64 bytes from \1: seq=0 ttl=64 time=\d\.\d{3} ms\n64 bytes from \1: seq=1 ttl=64 time=\d\.\d{3} ms\n\n--- tasks\.web ping statistics ---\n2 packets transmitted, 2 packets received, 0% packet loss\nround-trip min\/avg\/max = [\d.]+\/[\d.]+\/[\d.]+ ms\n$/,
    );
  });

  test("speaks iputils' on a node, errors included", () => {
    const { status, out } = run('ping -c 1 10.9.9.9', 'node1/host');
    expect(status).toBe(1);
    expect(out).toContain('From 192.168.99.1 icmp_seq=1 Destination Net Unreachable\n');
    expect(out).toContain('1 packets transmitted, 0 received, +1 errors, 100% packet loss, time 0ms\n');
  });

  test.each([
    ['ping nobody', 1, "ping: bad address 'nobody'\n"],
    ['ping -c web', 1, "ping: invalid number 'web'\n"],
    ['ping -c alpine1 web', 1, "ping: invalid number 'alpine1'\n"],
    ['ping -Z web', 1, 'ping: unrecognized option: Z\n'],
  ])('%s', (command, status, err) => {
    expect(run(command)).toEqual({ status, out: '', err });
  });

  test('goes on until it is interrupted, and sums up then', () => {
    const { started, out } = world.start(CLI, 'ping web');
    world.advance(3.5);
    expect(started.task.done).toBe(false);
    // The shell passes Ctrl-C on.
    started.interrupt();
    expect(started.task.done).toBe(true);
    expect(text(out)).toMatch(/seq=3 .*\n\n--- web ping statistics ---\n4 packets transmitted, 4 packets received/);
  });
});

describe('interfaces, routes and neighbours', () => {
  test("busybox's ip", () => {
    const { out } = run('ip addr show eth0');
    expect(out).toMatch(
      /^\d+: eth0@if\d+: <BROADCAST,MULTICAST,UP,LOWER_UP,M-DOWN> mtu 1450 qdisc noqueue state UP \n {4}link\/ether 02:42:0a:00:01:[0-9a-f]{2} brd ff:ff:ff:ff:ff:ff\n {4}inet 10\.0\.1\.\d+\/24 brd 10\.0\.1\.255 scope global eth0\n {7}valid_lft forever preferred_lft forever\n$/,
    );
    expect(run('ip route').out).toMatch(
      /^default via 172\.18\.0\.1 dev eth1 \n10\.0\.1\.0\/24 dev eth0 scope link {2}src 10\.0\.1\.\d+ \n172\.18\.0\.0\/16 dev eth1 scope link {2}src 172\.18\.0\.\d+ \n$/,
    );
    expect(run('ip link show eth9')).toEqual({ status: 1, out: '', err: "ip: can't find device 'eth9'\n" });
  });

  test('route and ifconfig tell the same', () => {
    expect(run('route -n').out.split('\n')).toEqual([
      'Kernel IP routing table',
      'Destination     Gateway         Genmask         Flags Metric Ref    Use Iface',
      expect.stringMatching(/^0\.0\.0\.0 {9}172\.18\.0\.1 {6}0\.0\.0\.0 {9}UG {4}0 {6}0 {6}0 eth1$/),
      expect.stringMatching(/^10\.0\.1\.0 {8}0\.0\.0\.0 {9}255\.255\.255\.0 {3}U /),
      expect.stringMatching(/^172\.18\.0\.0 {6}0\.0\.0\.0 {9}255\.255\.0\.0 {5}U /),
      '',
    ]);
    const { out } = run('ifconfig eth0');
    expect(out).toMatch(/^eth0 {6}Link encap:Ethernet {2}HWaddr 02:42:0A:00:01:/);
    expect(out).toMatch(/inet addr:10\.0\.1\.\d+ {2}Bcast:10\.0\.1\.255 {2}Mask:255\.255\.255\.0\n/);
  });

  test('a neighbour that was spoken to is known', () => {
    run('ping -c 1 tasks.web');
    expect(run('ip neigh').out).toMatch(/^10\.0\.1\.\d+ dev eth0 lladdr 02:42:0a:00:01:[0-9a-f]{2} REACHABLE $/m);
    expect(run('arp -a').out).toMatch(/^\? \(10\.0\.1\.\d+\) at 02:42:0a:00:01:[0-9a-f]{2} \[ether\] on eth0$/m);
  });
});

describe('names', () => {
  test('nslookup and dig ask the embedded server', () => {
    expect(run('nslookup web').out).toMatch(
      /^Server:\t\t127\.0\.0\.11\nAddress:\t127\.0\.0\.11:53\n\nNon-authoritative answer:\nName:\tweb\nAddress: 10\.0\.1\.2\n\n/,
    );
    expect(run('dig +short tasks.web').out.trim().split('\n')).toHaveLength(2);
    const { out } = run('dig web');
    expect(out).toContain(';; flags: qr rd ra; QUERY: 1, ANSWER: 1,');
    expect(out).toMatch(/^web\.\t+600\tIN\tA\t10\.0\.1\.2$/m);
    expect(run('getent hosts web').out).toBe('10.0.1.2          web  web\n');
    expect(run('getent hosts nobody').status).toBe(2);
  });

  test('the files that Docker writes can be read', () => {
    expect(run('cat /etc/resolv.conf').out).toBe('nameserver 127.0.0.11\noptions ndots:0\n');
    expect(run('cat /etc/nothing')).toEqual({
      status: 1,
      out: '',
      err: "cat: can't open '/etc/nothing': No such file or directory\n",
    });
  });
});

describe('HTTP', () => {
  test('wget and curl get a page, and say why not', () => {
    expect(run('wget -qO- http://web').out).toMatch(/^web\.\d on node\d answers\n$/);
    expect(run('curl -s http://web:80/').out).toMatch(/^web\.\d on node\d answers\n$/);
    expect(run('curl -s -o /dev/null -w "%{http_code}\\n" web').out).toBe('200\n');
    expect(run('wget -q http://nobody').err).toBe("wget: bad address 'nobody'\n");
    expect(run('wget -qO- http://tasks.web:81').err).toMatch(
      /^wget: can't connect to remote host \(10\.0\.1\.\d+\): Connection refused\n$/,
    );
    expect(run('curl nobody')).toEqual({ status: 6, out: '', err: 'curl: (6) Could not resolve host: nobody\n' });
    expect(run('curl -s tasks.web:81').status).toBe(7);
  });

  test('the mesh answers on every node', () => {
    for (const node of [1, 2, 3])
      expect(run(`curl -s 192.168.99.${109 + node}:8080`, 'client/host').out).toMatch(/^web\.\d/);
  });

  test('a program that listens is in netstat with its name, and gives its port back', () => {
    const { started } = world.start(CLI, 'python3 -m http.server 8000');
    expect(run('netstat -tln').out).toMatch(/^tcp {8}0 {6}0 0\.0\.0\.0:8000 {12}0\.0\.0\.0:\* {15}LISTEN/m);
    expect(run('wget -qO- http://127.0.0.1:8000').out).toContain('Welcome to SimpleHTTP!');
    expect(run('python3 -m http.server 8000').err).toContain('Address already in use');
    started.task.stop(137);
    expect(run('netstat -tln').out).not.toContain('8000');
    expect(run('wget -qO- http://127.0.0.1:8000').status).toBe(1);
  });
});

test('nc carries bytes both ways', () => {
  const server = world.start('node2/host', 'nc -l -p 9000', 'hello from node2\n');
  const client = run('echo hello | nc 192.168.99.111 9000', 'client/host');
  expect(client).toMatchObject({ status: 0, out: 'hello from node2\n' });
  expect(text(server.out)).toBe('hello\n');
  expect(run('nc -zv 192.168.99.111 9001', 'client/host')).toMatchObject({
    status: 1,
    err: 'nc: 192.168.99.111 (192.168.99.111:9001): Connection refused\n',
  });
});

test('traceroute tells every hop', () => {
  expect(run('traceroute -n 203.0.113.10').out).toMatch(
    /^traceroute to 203\.0\.113\.10 \(203\.0\.113\.10\), 30 hops max, 46 byte packets\n 1 {2}172\.18\.0\.1( {2}\d\.\d{3} ms){3}\n 2 {2}203\.0\.113\.10( {2}\d\.\d{3} ms){3}\n$/,
  );
});

describe('tcpdump', () => {
  test('shows VXLAN and what is in it, as the guides have it', () => {
    const dump = world.start('node1/host', 'tcpdump -n -i eth0 -c 2 port 4789');
    run('ping -c 1 tasks.web');
    expect(dump.started.task.done).toBe(true);
    const lines = text(dump.out).split('\n');
    expect(lines[0]).toMatch(
      /^\d\d:\d\d:\d\d\.\d{6} IP 192\.168\.99\.110\.\d+ > 192\.168\.99\.11\d\.4789: VXLAN, flags \[I\] \(0x08\), vni 4097$/,
    );
    expect(lines[1]).toMatch(/^IP 10\.0\.1\.\d+ > 10\.0\.1\.\d+: ICMP echo request, id \d+, seq 0, length 64$/);
    expect(text(dump.err)).toContain('2 packets captured\n');
  });

  test('writes a capture that can be read again', () => {
    const dump = world.start(CLI, 'tcpdump -i lo -c 2 -w /tmp/dns.pcap udp');
    run('nslookup web');
    expect(dump.started.task.done).toBe(true);
    expect(run('ls /tmp').out).toBe('dns.pcap\n');
  });

  test.each([
    ['tcpdump -i eth9', /^tcpdump: eth9: No such device exists/],
    ['tcpdump -i eth0 frobnicate', /^tcpdump: can't parse filter expression: "frobnicate"/],
    ['tcpdump -i eth0 "(icmp"', /^tcpdump: can't parse filter expression/],
  ])('%s', (command, words) => {
    const { status, err } = run(command);
    expect(status).toBe(1);
    expect(err).toMatch(words);
  });
});

test('redis-server keeps what it is told, and hangs up after QUIT', () => {
  const server = world.start('node2/task-web.1', 'redis-server');
  world.advance(0.1);
  const [address] = run('ip addr', 'node2/task-web.1').out.match(/10\.0\.1\.\d+/) ?? [];
  expect(run(`redis-cli -h ${address} SET a Zoë; redis-cli -h ${address} GET a`).out).toBe('OK\nZoë\n');
  expect(run(`printf 'PING\\r\\nQUIT\\r\\nPING\\r\\n' | nc ${address} 6379`)).toMatchObject({
    status: 0,
    out: '+PONG\r\n+OK\r\n',
  });
  server.started.interrupt();
});

describe('the shell', () => {
  test.each([
    ['echo "a  b" c', 'a  b c\n'],
    ["echo 'it''s' \"$HOSTNAME\" $?", 'its task-cli.1 0\n'],
    ['false || echo no && echo yes', 'no\nyes\n'],
    ['false && echo no; echo end', 'end\n'],
    ['echo one two > /tmp/f; echo three >> /tmp/f; cat < /tmp/f | wc -w', '3\n'],
    ['ip addr show | grep inet | head -1', '    inet 127.0.0.1/8 scope host lo\n'],
    ['seq 3 | sort -r | tail -n 1', '1\n'],
    ["printf '%%s' x", '%s'],
    ["printf '%s-%d;' a 1 b 0x10", 'a-1;b-16;'],
    [`A=5; echo $A $\{A}x`, '5 5x\n'],
    ['nothing 2>/dev/null; echo $?', '127\n'],
    ['nothing 2>&1 | cat', 'sh: nothing: not found\n'],
    ['exit 3; echo never', ''],
    ['echo a#b # a comment', 'a#b\n'],
    ['A=$(seq 2); echo $A; echo "$A"', '1 2\n1\n2\n'],
    ['echo "<$(echo \'a  b\' | cat)>" `echo c`', '<a  b> c\n'],
    ['A=$(echo "x y") B=2; echo "$A $B"; A=3 env | grep ^A; echo $A', 'x y 2\nA=3\nx y\n'],
    ['A=$(false); echo $?; A=1; echo $?', '1\n0\n'],
    ['cat <<END | sort -r\na $HOSTNAME\nb $(echo "c")\nEND\necho after', 'b c\na task-cli.1\nafter\n'],
    ["cat > /tmp/g <<'END'\n$HOSTNAME\nEND\ncat /tmp/g", '$HOSTNAME\n'],
    ['echo one \\\n  two', 'one two\n'],
  ])('%s', (command, out) => {
    expect(run(command).out).toBe(out);
  });

  test.each([
    ['printf %d abc', 1, '0', 'printf: abc: invalid number\n'],
    ['[ a = a -a b = c ]', 2, '', '[: -a: unknown operand\n'],
    ['[ x -eq 1 ]', 2, '', '[: x: bad number\n'],
    ['test 1 -toString 1', 2, '', 'test: -toString: unknown operand\n'],
    ['[ 2 -gt -1 ]', 0, '', ''],
  ])('%s: in words', (command, status, out, err) => {
    expect(run(command)).toEqual({ status, out, err });
  });

  test.each([
    ['for i in 1 2; do echo $i; done', /^sh: "for" is not supported/],
    ['echo "open', /^sh: syntax error: unterminated quoted string/],
    ['echo a |', /^sh: syntax error/],
    ['| cat', /^sh: syntax error: unexpected "\|"/],
    ['sleep 1 &', /^sh: "&" is not supported/],
  ])('%s', (command, words) => {
    const { status, err } = run(command);
    expect([status, err]).toEqual([2, expect.stringMatching(words)]);
  });

  test('reads lines until it is left', () => {
    const { status, out } = world.run(CLI, 'sh', { typed: 'echo one\nhostname\nexit 4\necho never\n' });
    expect([status, out]).toEqual([4, 'one\ntask-cli.1\n']);
  });
});

test('the same commands give the same output at the same times', async () => {
  const session = async () => {
    const fresh = await World.of(STACK);
    const all = ['ping -c 2 tasks.web', 'dig tasks.web', 'curl -s web', 'traceroute -n 203.0.113.10'].map((command) =>
      fresh.run(CLI, command),
    );
    return JSON.stringify([all, fresh.swarm.engine.now]);
  };
  expect(await session()).toBe(await session());
});

/** What programs change on a node, its packets meet. */

import { beforeEach, describe, expect, test } from 'vitest';
import { Machine } from './machine.js';

let machine: Machine;
beforeEach(async () => {
  machine = await Machine.create();
}, 60_000);
const run = (command: string, typed?: string) => machine.run(command, typed);
const received = (command: string) => Number(/(\d+) received/.exec(run(command).out)?.[1] ?? Number.NaN);
const GATEWAY = 'ping -c 2 -i 0.1 -W 1 192.168.99.1';

/** A namespace `a` behind a veth of node1's, 10.1.0.2. */
const NETNS = `ip netns add a && ip link add v0 type veth peer name v1 && ip link set v1 netns a && \
ip addr add 10.1.0.1/24 dev v0 && ip link set v0 up && ip netns exec a ip addr add 10.1.0.2/24 dev v1 && \
ip -n a link set v1 up && ip -n a link set lo up && ip -n a route add default via 10.1.0.1`;

describe('iptables', () => {
  test('a rule stops packets, counts them, and lets them pass again when it is gone', () => {
    expect(received(GATEWAY)).toBe(2);
    expect(run('iptables -A OUTPUT -d 192.168.99.1 -p icmp -j DROP').status).toBe(0);
    expect(received(GATEWAY)).toBe(0);
    expect(run('iptables -nvL OUTPUT').out).toMatch(/^ +2 +168 DROP +1 /m);
    run('iptables -Z OUTPUT');
    expect(run('iptables -nvL OUTPUT').out).toMatch(/^ +0 +0 DROP +1 /m);
    run('iptables -D OUTPUT 1');
    expect(received(GATEWAY)).toBe(2);
  });

  test('a policy, a chain of one’s own, a rule before others', () => {
    run('iptables -P OUTPUT DROP; iptables -N OURS; iptables -A OUTPUT -j OURS; iptables -A OURS -j RETURN');
    expect(received(GATEWAY)).toBe(0);
    run('iptables -I OURS -p icmp -d 192.168.99.0/24 -j ACCEPT');
    expect(received(GATEWAY)).toBe(2);
  });

  test('a flow that runs is stopped where it runs', () => {
    const command = 'ping -c 20 -i 0.1 -W 1 192.168.99.1 > /tmp/out';
    const { started } = machine.start(command);
    machine.advance(1.05);
    run('iptables -A INPUT -p icmp -j DROP');
    machine.advance(5);
    expect(started?.task.done).toBe(true);
    expect(run('cat /tmp/out').out).toContain('20 packets transmitted, 11 received');
  });

  test('NAT: a namespace behind the node is masqueraded', () => {
    run(`${NETNS} && sysctl -w net.ipv4.ip_forward=1`);
    run('iptables -t nat -A POSTROUTING -s 10.1.0.0/24 ! -o v0 -j MASQUERADE');
    expect(received('ip netns exec a ping -c 2 -W 1 192.168.99.1')).toBe(2);
    expect(run('conntrack -L -p icmp').out).toMatch(
      /^icmp {5}1 \d+ src=10\.1\.0\.2 dst=192\.168\.99\.1 type=8 code=0 id=\d+ src=192\.168\.99\.1 dst=192\.168\.99\.110 /,
    );
    expect(run('conntrack -D -p icmp -s 10.1.0.2').err).toContain('1 flow entries have been deleted.');
    expect(run('conntrack -L').out).toBe('');
  });

  test('a rule for an interface that comes later, goes and comes back', () => {
    run('iptables -A OUTPUT -o v0 -j DROP');
    run(NETNS);
    expect(received('ping -c 1 -W 1 10.1.0.2')).toBe(0);
    run('ip link del v0');
    expect(run('iptables -S OUTPUT').out).toContain('-A OUTPUT -o v0 -j DROP');
    run('ip link add v0 type dummy');
    expect(run('iptables -nvL OUTPUT').out).toMatch(/DROP +0 +-- +\* +v0 /);
  });
});

describe('ip', () => {
  test('a device that is down takes its routes with it; up again it has the connected one', () => {
    expect(received(GATEWAY)).toBe(2);
    run('ip link set eth0 down');
    expect(run(GATEWAY)).toMatchObject({ status: 2, err: 'ping: connect: Network is unreachable\n' });
    expect(run('ip route').out).toBe('');
    expect(run('ip -br link show eth0').out).toContain('DOWN');
    run('ip link set dev eth0 up');
    expect(run('ip route').out).toBe('192.168.99.0/24 dev eth0 proto kernel scope link src 192.168.99.110 \n');
    expect(received(GATEWAY)).toBe(2);
    expect(run('ping -c 1 8.8.8.8').err).toBe('ping: connect: Network is unreachable\n');
  });

  test('routes', () => {
    expect(run('ip route get 10.9.0.1').out).toBe(
      '10.9.0.1 via 192.168.99.1 dev eth0 src 192.168.99.110 uid 0 \n    cache \n',
    );
    run('ip route add 10.9.0.0/16 via 192.168.99.7');
    expect(run('ip route').out).toBe(
      'default via 192.168.99.1 dev eth0 \n10.9.0.0/16 via 192.168.99.7 dev eth0 \n192.168.99.0/24 dev eth0 proto kernel scope link src 192.168.99.110 \n',
    );
    expect(run('ip route get 10.9.0.1').out).toContain('via 192.168.99.7');
    run('ip route replace 10.9.0.0/16 via 192.168.99.8; ip route del default');
    expect(run('ip route show 10.9.0.0/16').out).toBe('10.9.0.0/16 via 192.168.99.8 dev eth0 \n');
    expect(run('ping -c 1 8.8.8.8').err).toBe('ping: connect: Network is unreachable\n');
    run('ip route flush 10.9.0.0/16');
    expect(run('ip route show 10.9.0.0/16').out).toBe('');
  });

  test('addresses', () => {
    run('ip addr add 192.168.99.120/24 dev eth0; ip addr add 10.7.0.1/16 brd + dev eth0');
    expect(run('ip -4 addr show eth0').out).toBe(
      `2: eth0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP group default qlen 1000
    inet 192.168.99.110/24 scope global eth0
       valid_lft forever preferred_lft forever
    inet 10.7.0.1/16 brd 10.7.255.255 scope global eth0
       valid_lft forever preferred_lft forever
    inet 192.168.99.120/24 scope global secondary eth0
       valid_lft forever preferred_lft forever
`,
    );
    expect(run('ip addr add 10.7.0.1/16 dev eth0')).toMatchObject({
      status: 2,
      err: 'Error: ipv4: Address already assigned.\n',
    });
    expect(received('ping -c 1 -I 192.168.99.120 192.168.99.1')).toBe(1);
    run('ip addr del 10.7.0.1/16 dev eth0');
    expect(run('ip route').out).not.toContain('10.7');
    expect(run('ip addr del 10.7.0.1/16 dev eth0')).toMatchObject({
      status: 2,
      err: 'Error: ipv4: Address not found.\n',
    });
  });

  test('a namespace with a veth into it', () => {
    expect(run(NETNS)).toEqual({ status: 0, out: '', err: '' });
    expect(run('ip netns').out).toBe('a\n');
    expect(received('ping -c 2 -i 0.1 10.1.0.2')).toBe(2);
    expect(run('ip netns exec a ip -br addr').out).toBe(
      'lo               UNKNOWN        127.0.0.1/8 \nv1@if3           UP             10.1.0.2/24 \n',
    );
    run('ip link set v0 down');
    expect(run('ip netns exec a ip -br link show v1').out).toMatch(/^v1@if3 +LOWERLAYERDOWN /);
    run('ip netns del a');
    expect(run('ip netns; ip link show v0')).toMatchObject({ status: 1, out: '' });
  });

  test('a bridge between two namespaces, by brctl and by ip', () => {
    run('brctl addbr br7; ip link set br7 up; ip addr add 10.2.0.1/24 dev br7');
    for (const n of [2, 3]) {
      run(
        `ip netns add n${n}; ip link add p${n} type veth peer name eth0 netns n${n}; ip link set p${n} up; ip -n n${n} addr add 10.2.0.${n}/24 dev eth0; ip -n n${n} link set eth0 up`,
      );
    }
    run('brctl addif br7 p2; ip link set p3 master br7');
    expect(run('brctl show br7').out).toMatch(
      /^bridge name\tbridge id\t\tSTP enabled\tinterfaces\nbr7\t\t8000\.[0-9a-f]{12}\tno\t\tp2\n\t{7}p3\n$/,
    );
    expect(received('ip netns exec n2 ping -c 1 10.2.0.3')).toBe(1);
    expect(received('ip netns exec n2 ping -c 1 10.2.0.1')).toBe(1);
    const mac = run('ip netns exec n3 cat /sys/class/net/eth0/address').out.trim();
    expect(run('bridge fdb show br br7').out).toContain(`${mac} dev p3 master br7 \n`);
    expect(run('brctl showmacs br7').out).toContain(`\t${mac}\tno\t\t`);
    // A wrong entry leads its frames astray.
    run(`bridge fdb replace ${mac} dev p2 master static`);
    expect(received('ip netns exec n2 ping -c 1 -W 1 10.2.0.3')).toBe(0);
    run(`bridge fdb del ${mac} dev p2 master`);
    expect(received('ip netns exec n2 ping -c 1 10.2.0.3')).toBe(1);
    run('ip link set p3 nomaster');
    expect(received('ip netns exec n2 ping -c 1 -W 1 10.2.0.3')).toBe(0);
  });

  test('neighbours', () => {
    run('ip neigh add 192.168.99.50 lladdr 52:54:00:00:00:01 dev eth0');
    expect(run('ip neigh show 192.168.99.50').out).toBe('192.168.99.50 dev eth0 lladdr 52:54:00:00:00:01 PERMANENT \n');
    received(GATEWAY);
    expect(run('ip neigh').out).toContain('192.168.99.1 dev eth0 lladdr 52:54:00:00:00:01 REACHABLE');
    run('ip neigh del 192.168.99.50 dev eth0; ip neigh flush dev eth0');
    expect(run('ip neigh').out).toBe('');
    expect(run('ip neigh del 192.168.99.50 dev eth0')).toMatchObject({
      status: 2,
      err: 'RTNETLINK answers: No such file or directory\n',
    });
  });

  test.each([
    ['ip link show nope', 1, 'Device "nope" does not exist.\n'],
    ['ip link set nope up', 1, 'Cannot find device "nope"\n'],
    ['ip route add default via 9.9.9.9', 2, 'Error: Nexthop has invalid gateway.\n'],
    ['ip route del 7.0.0.0/8', 2, 'RTNETLINK answers: No such process\n'],
    ['ip route add default via 192.168.99.1', 2, 'RTNETLINK answers: File exists\n'],
    ['ip link foo', 255, 'Command "foo" is unknown, try "ip link help".\n'],
    ['ip foo', 1, 'Object "foo" is unknown, try "ip help".\n'],
    ['ip addr add 1.2.3.4.5/2 dev eth0', 1, 'Error: any valid prefix is expected rather than "1.2.3.4.5/2".\n'],
    ['ip link add eth0 type bridge', 2, 'RTNETLINK answers: File exists\n'],
    ['ip link add x type foo', 2, 'Error: Unknown device type.\n'],
    ['ip link del lo', 2, 'RTNETLINK answers: Operation not supported\n'],
    ['ip netns del nope', 1, 'Cannot remove namespace file "/run/netns/nope": No such file or directory\n'],
    ['ip netns exec nope ls', 255, 'Cannot open network namespace "nope": No such file or directory\n'],
    ['ip link set eth0 mtu 40', 2, 'Error: mtu less than device minimum.\n'],
    [
      'nsenter --net=/var/run/netns/nope ls',
      1,
      'nsenter: cannot open /var/run/netns/nope: No such file or directory\n',
    ],
  ])('%s', (command, status, err) => {
    expect(run(command)).toEqual({ status, out: '', err });
  });
});

describe('sysctl', () => {
  test('forwarding on and off', () => {
    run(NETNS);
    run('sysctl -w net.ipv4.ip_forward=0');
    const across = 'ip netns exec a ping -c 1 -W 1 192.168.99.1';
    expect(received(across)).toBe(0);
    expect(run('sysctl net.ipv4.conf.all.forwarding=1').out).toBe('net.ipv4.conf.all.forwarding = 1\n');
    expect(received(across)).toBe(1);
    run('echo 0 > /proc/sys/net/ipv4/ip_forward');
    expect(run('cat /proc/sys/net/ipv4/ip_forward; sysctl -n net.ipv4.ip_forward').out).toBe('0\n0\n');
    expect(received(across)).toBe(0);
  });

  test('what has no effect is refused, and what there is not is named', () => {
    expect(run('sysctl -w net.ipv4.tcp_sack=0')).toMatchObject({
      status: 1,
      err: 'sysctl: setting key "net.ipv4.tcp_sack": Operation not supported (it has no effect in the simulation)\n',
    });
    expect(run('sysctl net.ipv4.nope')).toEqual({
      status: 1,
      out: '',
      err: 'sysctl: cannot stat /proc/sys/net/ipv4/nope: No such file or directory\n',
    });
  });
});

test.each([
  ['route add default gw 192.168.99.7', 'route: changing is not simulated: there is ip route\n'],
  ['ifconfig eth0 down', 'ifconfig: changing is not simulated: there is ip link, ip addr\n'],
  ['arp -d 192.168.99.1', 'arp: changing is not simulated: there is ip neigh\n'],
])('%s is refused, never passed over', (command, err) => {
  expect(run(command)).toEqual({ status: 1, out: '', err });
});

test('ipvsadm: a virtual service by hand', () => {
  run('ipvsadm -A -t 10.5.0.1:80 -s rr && ipvsadm -a -t 10.5.0.1:80 -r 192.168.99.1:8080 -m');
  expect(run('ipvsadm -ln').out).toBe(
    `IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn
TCP  10.5.0.1:80 rr
  -> 192.168.99.1:8080            Masq    1      0          0         
`,
  );
  expect(run('ipvsadm -A -t 10.5.0.1:80 -s rr')).toEqual({ status: 1, out: '', err: 'Service already exists\n' });
  run('ipvsadm -d -t 10.5.0.1:80 -r 192.168.99.1:8080; ipvsadm -C');
  expect(run('ipvsadm -ln').out).not.toContain('10.5');
});

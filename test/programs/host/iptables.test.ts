/**
 * iptables beside the real one (v1.8.9, nf_tables): `*.golden.txt` is what it printed for each command after
 * `iptables-restore -c < *.save`. `node1.save` is a real node's (scenario S6).
 */

import { readFileSync } from 'node:fs';
import { beforeEach, describe, expect, test } from 'vitest';
import { Machine } from './machine.js';

const fixture = (name: string) => readFileSync(new URL(`./iptables/${name}`, import.meta.url), 'utf8');

let machine: Machine;
beforeEach(async () => {
  machine = await Machine.create();
}, 60_000);
const run = (command: string, typed?: string) => machine.run(command, typed);

describe.each(['node1', 'matches'])('%s.save', (name) => {
  const parts = fixture(`${name}.golden.txt`).split(/^\$ /m).slice(1);
  test.each(parts.map((part) => [part.split('\n')[0] ?? '', part.slice(part.indexOf('\n') + 1)]))(
    '%s',
    (command, expected) => {
      expect(run('iptables-restore -c', fixture(`${name}.save`))).toEqual({ status: 0, out: '', err: '' });
      const dates = (text: string) => text.replaceAll(/ on \w{3} \w{3} .*$/gm, '');
      expect(dates(run(command).out)).toBe(dates(expected));
    },
  );
});

describe('what is wrong is said in iptables’ words', () => {
  const problem = (words: string) =>
    `iptables v1.8.9 (nf_tables): ${words}\nTry \`iptables -h' or 'iptables --help' for more information.\n`;
  test.each([
    [
      'iptables -L NOPE',
      1,
      "iptables v1.8.9 (nf_tables): chain `NOPE' in table `filter' is incompatible, use 'nft' tool.\n",
    ],
    ['iptables -D INPUT 9', 1, 'iptables: Index of deletion too big.\n'],
    ['iptables -I INPUT 9 -j DROP', 1, 'iptables: Index of insertion too big.\n'],
    ['iptables -R INPUT 5 -j DROP', 1, 'iptables: Index of replacement too big.\n'],
    ['iptables -A INPUT -p tcp --dport 80 -j NOPE', 2, problem("Chain 'NOPE' does not exist")],
    ['iptables -A NOPE -j ACCEPT', 1, 'iptables: No chain/target/match by that name.\n'],
    ['iptables -P FOO DROP', 1, 'iptables: Bad built-in chain name.\n'],
    ['iptables -P INPUT FOO', 1, "iptables: Bad policy name. Run `dmesg' for more information.\n"],
    ['iptables -P INPUT', 2, problem('-P requires a chain and a policy')],
    [
      'iptables -t foo -L',
      3,
      "iptables v1.8.9 (nf_tables): table 'foo' does not exist\nPerhaps iptables or your kernel needs to be upgraded.\n",
    ],
    ['iptables -Q', 2, problem('unknown option "-Q"')],
    ['iptables --foo', 2, problem('unknown option "--foo"')],
    ['iptables -A INPUT --dport 80 -j ACCEPT', 2, problem('unknown option "--dport"')],
    ['iptables -N INPUT', 1, 'iptables: Chain already exists.\n'],
    ['iptables -C INPUT -j ACCEPT', 1, 'iptables: Bad rule (does a matching rule exist in that chain?).\n'],
    ['iptables -D INPUT -j DROP', 1, 'iptables: Bad rule (does a matching rule exist in that chain?).\n'],
    ['iptables -A INPUT -j', 2, problem('option "-j" requires an argument')],
    ['iptables', 2, problem('no command specified')],
    ['iptables -A INPUT -m nope -j ACCEPT', 2, problem("Couldn't load match `nope':No such file or directory\n")],
    ['iptables -A INPUT -p nope', 2, problem('unknown protocol "nope" specified')],
    ['iptables -A INPUT -p tcp --dport 99999 -j ACCEPT', 2, problem("invalid port/service `99999' specified")],
    ['iptables -A INPUT -m state --state FOO -j ACCEPT', 2, problem('Bad state "FOO"')],
    ['iptables -A INPUT -m addrtype --dst-type FOO', 2, problem('addrtype: bad type "FOO"')],
    ['iptables -A INPUT -o eth0 -j ACCEPT', 2, problem("Can't use -o with INPUT\n")],
    ['iptables -A INPUT -s 1.2.3.4/33 -j DROP', 2, problem("invalid mask `33' specified")],
    ['iptables -A INPUT -d host.invalid -j DROP', 2, problem("host/network `host.invalid' not found")],
    ['iptables -A INPUT -j ACCEPT -j DROP', 2, problem('multiple -j flags not allowed')],
    ['iptables -L -A INPUT', 2, problem('Cannot use -A with -L')],
    ['iptables -t nat -A PREROUTING -j DNAT', 2, problem('DNAT: option "--to-destination" must be specified\n')],
    [
      'iptables -A INPUT -j DNAT --to-destination 1.1.1.1',
      4,
      'iptables v1.8.9 (nf_tables):  RULE_APPEND failed (Invalid argument): rule in chain INPUT\n',
    ],
    ['iptables -A INPUT foo', 2, "Bad argument `foo'\nTry `iptables -h' or 'iptables --help' for more information.\n"],
    [
      'ip6tables -A INPUT -s 1.2.3.4 -j DROP',
      2,
      problem("host/network `1.2.3.4' not found").replaceAll('iptables', 'ip6tables'),
    ],
    // What the real one has and the simulation has not is no silence either.
    ['iptables -A INPUT -m limit --limit 5/min -j ACCEPT', 2, problem('match limit: not simulated')],
    ['iptables -A INPUT -j LOG', 2, problem('target LOG: not simulated')],
  ])('%s', (command, status, err) => {
    expect(run(command)).toEqual({ status, out: '', err });
  });

  test('a chain in use is not removed', () => {
    run('iptables -N A; iptables -A A -j ACCEPT');
    const err = 'iptables v1.8.9 (nf_tables):  CHAIN_DEL failed (Device or resource busy): chain A\n';
    expect(run('iptables -X A')).toEqual({ status: 4, out: '', err });
    expect(run('iptables -F A && iptables -X A && iptables -S').out).not.toContain('A A');
  });

  test('a text with a wrong line changes nothing', () => {
    run('iptables -A INPUT -s 10.0.0.1 -j DROP');
    const { status } = run('iptables-restore', '*filter\n:INPUT DROP [0:0]\n-A INPUT -j NOPE\nCOMMIT\n');
    expect(status).toBe(2);
    expect(run('iptables -S INPUT').out).toBe('-P INPUT ACCEPT\n-A INPUT -s 10.0.0.1/32 -j DROP\n');
  });
});

test('ip6tables: the same in the other family', () => {
  run('ip6tables -A INPUT -p tcp --dport 80 -s fd00::/64 -j ACCEPT; ip6tables -A INPUT -p icmpv6 -j ACCEPT');
  run('ip6tables -A INPUT -i eth0 ! -s fd00::1 -j REJECT');
  expect(run('ip6tables -nvL INPUT').out).toBe(
    `Chain INPUT (policy ACCEPT 0 packets, 0 bytes)
 pkts bytes target     prot opt in     out     source               destination         
    0     0 ACCEPT     6    --  *      *       fd00::/64            ::/0                 tcp dpt:80
    0     0 ACCEPT     58   --  *      *       ::/0                 ::/0                
    0     0 REJECT     0    --  eth0   *      !fd00::1              ::/0                 reject-with icmp6-port-unreachable
`,
  );
  expect(run('ip6tables -S INPUT').out).toBe(
    '-P INPUT ACCEPT\n-A INPUT -s fd00::/64 -p tcp -m tcp --dport 80 -j ACCEPT\n-A INPUT -p ipv6-icmp -j ACCEPT\n-A INPUT ! -s fd00::1/128 -i eth0 -j REJECT --reject-with icmp6-port-unreachable\n',
  );
});

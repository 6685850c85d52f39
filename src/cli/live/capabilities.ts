/** What this machine's kernel and programs can do, tried in a namespace of our own; each lack in one sentence. */

import { netnsName, type Outcome, run } from './namespaces.js';

export type Capability =
  | 'bridge'
  | 'vxlan'
  | 'macvlan'
  | 'ipvlan'
  | 'vlan'
  | 'iptables'
  | 'ip6tables'
  | 'br_netfilter'
  | 'ipvs';

export interface Machine {
  /** `iptables`, `iptables-legacy` or `iptables-nft`: the first that works. */
  iptables: string;
  /** What it cannot do, and why. */
  lacking: Map<Capability, string>;
  kernel: string;
}

/** Why nothing can be run here at all; undefined: it can. */
export function whyNot(): string | undefined {
  if (process.platform !== 'linux') return `live comparison needs a Linux kernel; this is ${process.platform}`;
  if (process.getuid?.() !== 0)
    return 'live comparison needs root, to make network namespaces: run it with sudo, or in a privileged container';
  if (!run({ argv: ['ip', '-V'] }).ok) return 'live comparison needs the program ip: apt-get install iproute2';
  if (!run({ argv: ['python3', '-c', 'import ctypes, socket; socket.AF_PACKET'] }).ok) {
    return 'live comparison needs python3, which sends and captures frames by AF_PACKET sockets: apt-get install python3';
  }
  const probe = netnsName('probe');
  const made = run({ argv: ['ip', 'netns', 'add', probe] });
  if (!made.ok) return `network namespaces cannot be made here (${made.why})`;
  const veth = inProbe('ip', 'link', 'add', 'name', 'v0', 'type', 'veth', 'peer', 'name', 'v1');
  if (!veth.ok) return `veth pairs cannot be made here (${veth.why})`;
  return undefined;
}

function inProbe(...argv: string[]): Outcome {
  return run({ argv: ['ip', 'netns', 'exec', netnsName('probe'), ...argv] });
}

function restores(program: string, rules: string): Outcome {
  return run({ argv: ['ip', 'netns', 'exec', netnsName('probe'), `${program}-restore`], input: rules });
}

const RULES6 = `*raw
-A PREROUTING -d fd00::1/128 -j DROP
COMMIT
*nat
-A POSTROUTING -s fd00::/64 -j MASQUERADE
-A PREROUTING -p udp -m udp --dport 9 -m addrtype --dst-type LOCAL -j DNAT --to-destination [fd00::1]:9
COMMIT
*filter
-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
COMMIT
`;

const RULES = `*nat
-A POSTROUTING -s 10.0.0.0/8 -j MASQUERADE
-A PREROUTING -p udp -m udp --dport 9 -m addrtype --dst-type LOCAL -j DNAT --to-destination 10.0.0.1:9
COMMIT
*filter
-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
COMMIT
*mangle
-A PREROUTING -p udp -m udp --dport 9 -j MARK --set-xmark 0x1/0xffffffff
COMMIT
`;

/** To be asked after `whyNot`, whose namespace it uses. */
export function machine(): Machine {
  const lacking = new Map<Capability, string>();
  const note = (capability: Capability, { ok, why }: Outcome, words: string): void => {
    if (!ok) lacking.set(capability, `${words} (${why})`);
  };
  note('bridge', inProbe('ip', 'link', 'add', 'name', 'b0', 'type', 'bridge'), 'bridges cannot be made here');
  const vxlan = ['type', 'vxlan', 'id', '4096', 'dstport', '4789', 'proxy', 'learning', 'l2miss', 'l3miss'];
  note('vxlan', inProbe('ip', 'link', 'add', 'name', 'x0', ...vxlan), 'vxlan devices cannot be made here');
  note(
    'macvlan',
    inProbe('ip', 'link', 'add', 'link', 'v1', 'name', 'm0', 'type', 'macvlan', 'mode', 'bridge'),
    'macvlan devices cannot be made here',
  );
  const tried = ['iptables', 'iptables-legacy', 'iptables-nft'].map((program) => ({
    program,
    ...restores(program, RULES),
  }));
  const works = tried.find(({ ok }) => ok);
  if (!works)
    note(
      'iptables',
      tried[0] ?? { ok: false, out: '', why: '' },
      'iptables with NAT does not work here: apt-get install iptables',
    );
  const six = (works?.program ?? 'iptables').replace('iptables', 'ip6tables');
  note('ip6tables', restores(six, RULES6), 'ip6tables with NAT does not work here');
  note(
    'br_netfilter',
    inProbe('test', '-e', '/proc/sys/net/bridge/bridge-nf-call-iptables'),
    'the kernel has no br_netfilter: modprobe br_netfilter',
  );
  const services = inProbe('test', '-e', '/proc/sys/net/ipv4/vs/conntrack');
  if (!services.ok) lacking.set('ipvs', 'the kernel has no IPVS: modprobe ip_vs ip_vs_rr');
  else
    note(
      'ipvs',
      inProbe('ipvsadm', '-A', '-f', '1', '-s', 'rr'),
      'IPVS cannot be programmed here: apt-get install ipvsadm',
    );
  const kernel = run({ argv: ['uname', '-r'] }).out.trim();
  return { iptables: works?.program ?? 'iptables', lacking, kernel };
}

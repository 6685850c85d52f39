/**
 * Kernel settings of a namespace, as /proc/sys/net has them: those that the engine knows are read from it and written into it,
 * the others have the kernel's defaults (6.1) and keep them.
 */

import type { Device, Namespace } from '../../engine/index.js';

interface Setting {
  get(): string;
  /** Not there: another value has no effect, and is refused. */
  set?(value: number): void;
}

/** Of devices, `all` and `default`. */
const CONF: Record<string, string> = {
  accept_local: '0',
  accept_redirects: '1',
  arp_announce: '0',
  arp_ignore: '0',
  proxy_arp: '0',
  rp_filter: '0',
  send_redirects: '1',
};

const CONSTANT: Record<string, string> = {
  'bridge/bridge-nf-call-arptables': '1',
  'bridge/bridge-nf-filter-pppoe-tagged': '0',
  'bridge/bridge-nf-filter-vlan-tagged': '0',
  'bridge/bridge-nf-pass-vlan-input-dev': '0',
  'ipv4/icmp_echo_ignore_broadcasts': '1',
  'ipv4/icmp_ratelimit': '1000',
  'ipv4/icmp_ratemask': '6168',
  'ipv4/ip_default_ttl': '64',
  'ipv4/ip_local_port_range': '32768\t60999',
  'ipv4/ip_no_pmtu_disc': '0',
  'ipv4/ip_unprivileged_port_start': '1024',
  'ipv4/tcp_ecn': '2',
  'ipv4/tcp_sack': '1',
  'ipv4/tcp_syncookies': '1',
  'ipv4/tcp_timestamps': '1',
  'ipv4/tcp_window_scaling': '1',
  'ipv4/vs/expire_quiescent_template': '1',
  'ipv4/vs/snat_reroute': '1',
  'netfilter/nf_conntrack_icmp_timeout': '30',
  'netfilter/nf_conntrack_tcp_timeout_close': '10',
  'netfilter/nf_conntrack_tcp_timeout_close_wait': '60',
  'netfilter/nf_conntrack_tcp_timeout_established': '432000',
  'netfilter/nf_conntrack_tcp_timeout_fin_wait': '120',
  'netfilter/nf_conntrack_tcp_timeout_last_ack': '30',
  'netfilter/nf_conntrack_tcp_timeout_syn_recv': '60',
  'netfilter/nf_conntrack_tcp_timeout_syn_sent': '120',
  'netfilter/nf_conntrack_tcp_timeout_time_wait': '120',
  'netfilter/nf_conntrack_udp_timeout': '30',
  'netfilter/nf_conntrack_udp_timeout_stream': '120',
};

/** By their names under /proc/sys/net, in order. */
export function sysctlsOf(namespace: Namespace): Map<string, Setting> {
  const engine = (
    name:
      | 'forward'
      | 'bridgeNetfilter'
      | 'bridgeNetfilter6'
      | 'ipvsConntrack'
      | 'ipvsExpireNodest'
      | 'ipvsReuseMode'
      | 'connectionsMax',
  ): Setting => ({ get: () => `${namespace.get(name)}`, set: (value) => namespace.set(name, value) });
  const forward = engine('forward');
  const found: [string, Setting][] = [
    ...Object.entries(CONSTANT).map(([name, value]): [string, Setting] => [name, { get: () => value }]),
    ['ipv4/ip_forward', forward],
    ['bridge/bridge-nf-call-iptables', engine('bridgeNetfilter')],
    ['bridge/bridge-nf-call-ip6tables', engine('bridgeNetfilter6')],
    ['ipv4/vs/conntrack', engine('ipvsConntrack')],
    ['ipv4/vs/conn_reuse_mode', engine('ipvsReuseMode')],
    ['ipv4/vs/expire_nodest_conn', engine('ipvsExpireNodest')],
    ['netfilter/nf_conntrack_max', engine('connectionsMax')],
    ['netfilter/nf_conntrack_count', { get: () => `${namespace.get('connections')}` }],
  ];
  for (const name of ['all', 'default', ...namespace.devices.keys()]) {
    const device = namespace.devices.get(name);
    found.push([`ipv4/conf/${name}/forwarding`, forward]);
    found.push([`ipv4/conf/${name}/route_localnet`, device ? localnet(device) : { get: () => '0' }]);
    found.push([`ipv6/conf/${name}/disable_ipv6`, { get: () => (device?.ipv6 ? '0' : '1') }]);
    for (const [key, value] of Object.entries(CONF)) found.push([`ipv4/conf/${name}/${key}`, { get: () => value }]);
  }
  return new Map(found.sort(([a], [b]) => (a < b ? -1 : 1)));
}

function localnet(device: Device): Setting {
  return {
    get: () => (device.routeLocalnet ? '1' : '0'),
    set: (value) => {
      device.routeLocalnet = value !== 0;
    },
  };
}

export type SysctlOutcome = 'set' | 'unknown' | 'invalid' | 'unsupported';

/** Writes one; `name` as under /proc/sys/net. */
export function setSysctl(namespace: Namespace, name: string, value: string): SysctlOutcome {
  const setting = sysctlsOf(namespace).get(name);
  if (!setting) return 'unknown';
  const text = value.trim();
  if (text === setting.get()) return 'set';
  if (!/^\d+$/.test(text)) return 'invalid';
  if (!setting.set) return 'unsupported';
  setting.set(Number(text));
  return 'set';
}

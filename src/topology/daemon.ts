/**
 * A node's daemon.json: the keys that bear on networks, by their own names, and what dockerd says of a wrong one (reference:
 * moby daemon/config/config.go, opts/opts.go, daemon_unix.go). A key of another subject has no bearing here.
 */

import { cidr6 } from './ipv6.js';
import { holds } from './pools.js';

/** What a swarm's engines program, and how they behave. `28` is 28.5.2. */
export const ENGINE_VERSIONS = ['20.10', '28'] as const;
export type EngineVersion = (typeof ENGINE_VERSIONS)[number];

export interface AddressPool {
  /** CIDR */
  base: string;
  /** Prefix length of the subnets cut from it. */
  size: number;
}

export interface DaemonConfig {
  /** docker0's address and subnet. */
  bip?: string;
  /** The part of docker0's subnet that containers get addresses from. */
  'fixed-cidr'?: string;
  /** Have docker0 and its containers IPv6 addresses, and which subnet? */
  ipv6?: boolean;
  'fixed-cidr-v6'?: string;
  /** Of containers on docker0, instead of docker0's own address. */
  'default-gateway-v6'?: string;
  /** Of docker0 and its containers. */
  mtu?: number;
  /** Of containers on docker0, instead of docker0's own address. */
  'default-gateway'?: string;
  dns?: string[];
  'dns-search'?: string[];
  'dns-opts'?: string[];
  'default-address-pools'?: AddressPool[];
  'userland-proxy'?: boolean;
  /** May containers on docker0 talk to each other? */
  icc?: boolean;
  /** Where ports are published that name no address of the node. */
  ip?: string;
  'ip-forward'?: boolean;
  /** FORWARD stays open where dockerd turns forwarding on. */
  'ip-forward-no-drop'?: boolean;
  /** May packets for containers' own addresses come in by any device? */
  'allow-direct-routing'?: boolean;
  iptables?: boolean;
  ip6tables?: boolean;
  /** Do containers on docker0 masquerade? */
  'ip-masq'?: boolean;
}

export interface DaemonProblem {
  /** Where in the file: a key, and places in a list. */
  path: (string | number)[];
  message: string;
}

type GoType = 'string' | 'int' | 'bool' | 'net.IP' | '[]string' | '[]*ipamutils.NetworkToSplit';

interface Key {
  type: GoType;
  /** Engines before do not know it. */
  since?: EngineVersion;
  /** What is wrong with a value of that type. */
  wrong?: (value: never, engine: EngineVersion) => { at?: (string | number)[]; message: string } | undefined;
}

/** One line a key: another one is added here, and to `DaemonConfig`. */
const KEYS: Record<keyof DaemonConfig, Key> = {
  bip: { type: 'string', wrong: notCidr },
  'fixed-cidr': { type: 'string', wrong: notCidr },
  ipv6: { type: 'bool' },
  'fixed-cidr-v6': { type: 'string', wrong: notCidr6 },
  'default-gateway-v6': { type: 'net.IP', wrong: notIp6 },
  mtu: { type: 'int' },
  'default-gateway': { type: 'net.IP', wrong: notIp },
  dns: { type: '[]string', wrong: each((text) => (isIp(text) ? undefined : `${text} is not an ip address`)) },
  'dns-search': {
    type: '[]string',
    wrong: each((text) =>
      /^(\.|[\w-]+(\.[\w-]+)*\.?)$/.test(text.trim()) ? undefined : `${text} is not a valid domain`,
    ),
  },
  'dns-opts': { type: '[]string' },
  'default-address-pools': { type: '[]*ipamutils.NetworkToSplit', wrong: wrongPools },
  'userland-proxy': { type: 'bool' },
  icc: { type: 'bool' },
  ip: { type: 'net.IP', wrong: notIp },
  'ip-forward': { type: 'bool' },
  iptables: { type: 'bool' },
  ip6tables: { type: 'bool' },
  'ip-forward-no-drop': { type: 'bool', since: '28' },
  'allow-direct-routing': { type: 'bool', since: '28' },
  'ip-masq': { type: 'bool' },
};

/** As dockerd's parser of it says. */
function notCidr6(text: string): { message: string } | undefined {
  return text.includes('/') && isIpv6(text) ? undefined : { message: `invalid CIDR address: ${text}` };
}
function notIp6(text: string): { message: string } | undefined {
  return !text.includes('/') && isIpv6(text) ? undefined : { message: `invalid IP address: ${text}` };
}
function isIpv6(text: string): boolean {
  try {
    return text.includes(':') && cidr6(text) !== undefined;
  } catch {
    return false;
  }
}

/** What docker0 has where nothing else is said, and nothing else is in the way. */
const DEFAULT_BIP = '172.17.0.1/16';

/** Keys of dockerd that bear on no network. */
const OTHERS = new Set(
  (
    'allow-nondistributable-artifacts api-cors-header authorization-plugins bridge cgroup-parent cluster-advertise cluster-store ' +
    'cluster-store-opts containerd containerd-namespace containerd-plugin-namespace cpu-rt-period cpu-rt-runtime data-root debug ' +
    'default-cgroupns-mode default-ipc-mode default-runtime default-shm-size default-ulimits dns-opt exec-opts exec-root experimental ' +
    'features graph group hosts init init-path insecure-registries labels live-restore log-driver log-level log-opts max-concurrent-downloads ' +
    'max-concurrent-uploads max-download-attempts metrics-addr network-control-plane-mtu no-new-privileges node-generic-resources ' +
    'oom-score-adjust pidfile raw-logs registry-mirrors rootless runtimes seccomp-profile selinux-enabled shutdown-timeout storage-driver ' +
    'storage-opts swarm-default-advertise-addr tls tlscacert tlscert tlskey tlsverify userland-proxy-path userns-remap builder'
  ).split(' '),
);

/** Everything that dockerd would refuse to start with. */
export function problemsOf(
  config: Readonly<Record<string, unknown>>,
  engine: EngineVersion = '20.10',
): DaemonProblem[] {
  const problems: DaemonProblem[] = [];
  for (const [name, value] of Object.entries(config)) {
    const key = (KEYS as Record<string, Key | undefined>)[name];
    if (!key || !Object.hasOwn(KEYS, name) || (key.since && engine === '20.10')) {
      if (!OTHERS.has(name))
        problems.push({
          path: [name],
          message: `the following directives don't match any configuration option: ${name}`,
        });
      continue;
    }
    const found = jsonType(value);
    if (!fits(key.type, value)) {
      problems.push({
        path: [name],
        message: `json: cannot unmarshal ${found} into Go struct field Config.${name} of type ${key.type}`,
      });
      continue;
    }
    const wrong = (
      key.wrong as
        | ((value: unknown, engine: EngineVersion) => { at?: (string | number)[]; message: string } | undefined)
        | undefined
    )?.(value, engine);
    if (wrong) problems.push({ path: [name, ...(wrong.at ?? [])], message: wrong.message });
  }
  if (problems.length > 0) return problems;
  return together(config as DaemonConfig, engine);
}

/** What is right by itself, and wrong beside another key. */
function together(config: DaemonConfig, engine: EngineVersion): DaemonProblem[] {
  const problems: DaemonProblem[] = [];
  if (config.ip6tables && engine === '20.10')
    problems.push({
      path: ['ip6tables'],
      message: 'ip6tables rules are only available if experimental features are enabled',
    });
  const { bip, 'fixed-cidr': fixed, 'default-gateway': gateway } = config;
  if (config.iptables === false && config.icc === false)
    problems.push({
      path: ['icc'],
      message:
        'You specified --iptables=false with --icc=false. ICC=false uses iptables to function. Please set --icc or --iptables to true',
    });
  const docker0 = bip ?? (config['default-address-pools'] ? undefined : DEFAULT_BIP);
  if (docker0 && fixed && !(holds(docker0, hostPart(fixed)) && lengthOf(fixed) >= lengthOf(docker0)))
    problems.push({ path: ['fixed-cidr'], message: 'Invalid Address SubPool' });
  if (docker0 && gateway && !holds(docker0, gateway))
    problems.push({ path: ['default-gateway'], message: 'default gateway ip must be part of the network' });
  return problems;
}

function fits(type: GoType, value: unknown): boolean {
  switch (type) {
    case 'bool':
      return typeof value === 'boolean';
    case 'int':
      return typeof value === 'number' && Number.isInteger(value);
    case 'string':
    case 'net.IP':
      return typeof value === 'string';
    case '[]string':
      return Array.isArray(value) && value.every((one) => typeof one === 'string');
    default:
      return (
        Array.isArray(value) && value.every((one) => typeof one === 'object' && one !== null && !Array.isArray(one))
      );
  }
}

function jsonType(value: unknown): string {
  if (Array.isArray(value)) return 'array';
  if (value === null) return 'null';
  return typeof value === 'boolean'
    ? 'bool'
    : typeof value === 'number' && !Number.isInteger(value)
      ? `number ${value}`
      : typeof value;
}

function each(wrong: (text: string) => string | undefined) {
  return (values: string[]) => {
    for (const [i, value] of values.entries()) {
      const message = wrong(value);
      if (message) return { at: [i], message };
    }
    return undefined;
  };
}

function isIp(text: string): boolean {
  return isIpv4(text) || /^[0-9a-f:.]*:[0-9a-f:.]*$/i.test(text);
}

function isIpv4(text: string): boolean {
  const parts = text.split('.');
  return parts.length === 4 && parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255);
}

function notIp(text: string): { message: string } | undefined {
  return isIpv4(text) ? undefined : { message: `invalid IP address: ${text}` };
}

function notCidr(text: string): { message: string } | undefined {
  const [address = '', length = '', ...rest] = text.split('/');
  const right = rest.length === 0 && isIpv4(address) && /^\d{1,2}$/.test(length) && Number(length) <= 32;
  return right ? undefined : { message: `invalid CIDR address: ${text}` };
}

function wrongPools(
  pools: Record<string, unknown>[],
  engine: EngineVersion,
): { at: (string | number)[]; message: string } | undefined {
  for (const [i, { base, size }] of pools.entries()) {
    const text = typeof base === 'string' ? base : '';
    const six = engine !== '20.10' && text.includes(':');
    if (six ? notCidr6(text) : notCidr(text))
      return { at: [i, 'base'], message: `invalid base pool "${text}": invalid CIDR address: ${text}` };
    const length = typeof size === 'number' ? size : 0;
    if (!Number.isInteger(length) || length <= 0 || length < lengthOf(text) || length > (six ? 128 : 32))
      return { at: [i, 'size'], message: `invalid pools size: ${length}` };
  }
  return undefined;
}

function hostPart(cidr: string): string {
  return cidr.split('/')[0] ?? cidr;
}

function lengthOf(cidr: string): number {
  return Number(cidr.split('/')[1] ?? 32);
}

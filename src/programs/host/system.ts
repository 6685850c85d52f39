/** What stands round the network tools on a node: sudo, packages, services, kernel modules, links and files. */

import { Exit, type Process, type Program, pathOf } from '../process.js';
import type { Steps } from '../steps.js';
import { become, hostFiles } from './inside.js';

/** Everybody is root already. */
function* sudo(process: Process): Steps<number> {
  const args = process.argv.slice(1);
  while (args[0]?.startsWith('-')) {
    const option = args.shift() ?? '';
    if (option === '--') break;
    if (/^-[ugp]$/.test(option)) args.shift();
  }
  while (args[0] && /^[A-Za-z_]\w*=/.test(args[0])) {
    const [name = '', ...value] = (args.shift() ?? '').split('=');
    process.environment.set(name, value.join('='));
  }
  if (args.length === 0) throw new Exit(1, 'usage: sudo command [arg ...]');
  const status = yield* become(process, args);
  if (status === undefined) throw new Exit(1, `sudo: ${args[0]}: command not found`);
  return status;
}

/** A service manager's commands take the unit's name with or without its end. */
function unit(name: string): string {
  return name.replace(/\.service$/, '');
}

// biome-ignore-start lint/correctness/useYield: every program is a generator, and these have nothing to wait for

/** Packages: nothing is downloaded; the programs that there are, are there. */
function* packages(process: Process): Steps<number> {
  const [program = '', ...args] = process.argv;
  const [verb = '', ...names] = args.filter((arg) => !arg.startsWith('-'));
  if (verb === 'install' || verb === 'add') {
    const missing = names.filter((name) => !PROVIDED.has(name) && !process.machine.program(name));
    if (missing.length > 0) {
      throw new Exit(
        100,
        missing
          .map(
            (name) =>
              `E: Unable to locate package ${name} (nothing is downloaded: swarmwire's nodes have what they have)`,
          )
          .join('\n'),
      );
    }
    for (const name of names) process.stdout.write(`${name} is already the newest version (swarmwire's own).\n`);
    return 0;
  }
  if (['update', 'upgrade', 'clean', 'makecache', 'autoremove'].includes(verb)) {
    process.stdout.write('Reading package lists... Done\n');
    return 0;
  }
  throw new Exit(1, `${program}: only update and install have a meaning here`);
}

/** Packages by what they bring. */
const PROVIDED = new Set(
  (
    'bridge-utils iproute2 iproute iputils-ping iputils iputils-tracepath net-tools dnsutils bind-utils bind9-dnsutils curl wget tcpdump ipvsadm ' +
    'conntrack conntrack-tools iptables util-linux ethtool netcat netcat-openbsd ncat nmap-ncat traceroute procps coreutils'
  ).split(' '),
);

function* systemctl(process: Process): Steps<number> {
  const [verb = '', ...names] = process.argv.slice(1).filter((arg) => !arg.startsWith('-'));
  if (verb === 'daemon-reload') return 0;
  const [name = ''] = names;
  const service = process.machine.host?.service(unit(name));
  if (!service) {
    if (verb === 'status' || verb === 'is-active') throw new Exit(4, `Unit ${unit(name)}.service could not be found.`);
    throw new Exit(5, `Failed to ${verb} ${unit(name)}.service: Unit ${unit(name)}.service not found.`);
  }
  const failed = (problem: string | undefined): number => {
    if (problem === undefined) return 0;
    throw new Exit(
      1,
      `Job for ${unit(name)}.service failed because the control process exited with error code.\n${problem}`,
    );
  };
  switch (verb) {
    case 'reload':
      return failed(service.reload(process.machine.files));
    case 'restart':
    case 'try-restart':
    case 'reload-or-restart':
      return failed(service.restart(process.machine.files));
    case 'is-active':
      process.stdout.write('active\n');
      return 0;
    case 'start':
    case 'enable':
      return 0;
    case 'status':
      process.stdout.write(
        `● ${unit(name)}.service - ${service.description}\n     Loaded: loaded (/lib/systemd/system/${unit(name)}.service; enabled; preset: enabled)\n     Active: active (running)\n   Main PID: ${service.pid} (${unit(name)}d)\n`,
      );
      return 0;
    default:
      throw new Exit(
        1,
        `systemctl: ${verb || 'without a verb'}: not simulated (there are status, is-active, reload, restart)`,
      );
  }
}

/** `service docker restart` */
function* service(process: Process): Steps<number> {
  const [, name = '', verb = ''] = process.argv;
  return yield* systemctl({ ...process, argv: ['systemctl', verb, name] });
}

const MODULES: [string, number, string][] = [
  ['xt_nat', 16384, ''],
  ['xt_conntrack', 16384, ''],
  ['xt_MASQUERADE', 20480, ''],
  ['xt_addrtype', 16384, ''],
  ['xt_ipvs', 16384, ''],
  ['xt_mark', 16384, ''],
  ['ip_vs_rr', 16384, ''],
  ['ip_vs', 196608, 'ip_vs_rr,xt_ipvs'],
  ['nf_conntrack_netlink', 57344, ''],
  ['nf_nat', 57344, 'xt_nat,xt_MASQUERADE'],
  ['nf_conntrack', 188416, 'xt_conntrack,nf_nat,xt_nat,nf_conntrack_netlink,xt_MASQUERADE,ip_vs'],
  ['vxlan', 143360, ''],
  ['udp_tunnel', 36864, 'vxlan'],
  ['macvlan', 28672, ''],
  ['ipvlan', 36864, ''],
  ['veth', 40960, ''],
  ['br_netfilter', 36864, ''],
  ['bridge', 319488, 'br_netfilter'],
  ['overlay', 163840, ''],
];

function* lsmod(process: Process): Steps<number> {
  process.stdout.write('Module                  Size  Used by\n');
  for (const [name, size, users] of MODULES) {
    const count = users === '' ? 0 : users.split(',').length;
    process.stdout.write(`${name.padEnd(19)} ${`${size}`.padStart(8)}  ${count}${users ? ` ${users}` : ''}\n`);
  }
  return 0;
}

function* modprobe(process: Process): Steps<number> {
  const names = process.argv.slice(1).filter((arg) => !arg.startsWith('-'));
  for (const name of names) {
    const known = MODULES.some(([module]) => module === name.replaceAll('-', '_'));
    if (!known)
      throw new Exit(1, `modprobe: FATAL: Module ${name} not found in directory /lib/modules/6.1.0-swarmwire`);
  }
  return 0;
}

function* ln(process: Process): Steps<number> {
  const args = process.argv.slice(1);
  const options = args.filter((arg) => arg.startsWith('-')).join('');
  const [target, name] = args.filter((arg) => !arg.startsWith('-'));
  if (target === undefined) throw new Exit(1, "ln: missing file operand\nTry 'ln --help' for more information.");
  if (!options.includes('s')) throw new Exit(1, `ln: ${target}: only symbolic links are simulated (ln -s)`);
  const files = hostFiles(process.machine);
  let path = pathOf(process, name ?? target.replace(/^.*\//, ''));
  if (files.list(path) !== undefined && !options.includes('n')) path = `${path}/${target.replace(/^.*\//, '')}`;
  if (options.includes('f')) files.remove(path);
  if (!files.link(path, target)) throw new Exit(1, `ln: failed to create symbolic link '${name ?? path}': File exists`);
  return 0;
}

function* rm(process: Process): Steps<number> {
  const args = process.argv.slice(1);
  const force = args.some((arg) => /^-.*f/.test(arg));
  for (const name of args.filter((arg) => !arg.startsWith('-'))) {
    if (!hostFiles(process.machine).remove(pathOf(process, name)) && !force)
      throw new Exit(1, `rm: cannot remove '${name}': No such file or directory`);
  }
  return 0;
}

/** What there is may be run already. */
function* chmod(process: Process): Steps<number> {
  const { machine } = process;
  const { files } = machine;
  for (const name of process.argv.slice(1).filter((arg) => !/^(?:-|[ugoa]*[-+=]|[0-7]{3,4}$)/.test(arg))) {
    const path = pathOf(process, name);
    if (files.read(path) === undefined && files.list(path) === undefined && !machine.program(path))
      throw new Exit(1, `chmod: cannot access '${name}': No such file or directory`);
  }
  return 0;
}

/** Directories come with their files here. */
function* mkdir(): Steps<number> {
  return 0;
}

function* which(process: Process): Steps<number> {
  let status = 0;
  for (const name of process.argv.slice(1)) {
    if (process.machine.program(name)) process.stdout.write(`/usr/sbin/${name}\n`);
    else status = 1;
  }
  return status;
}

function* docker(process: Process): Steps<number> {
  const { hostname } = process.machine;
  throw new Exit(
    125,
    `docker: this node's engine is at the DOCKER_HOST that "swarmwire serve" printed for ${hostname}: use the docker command there`,
  );
}
// biome-ignore-end lint/correctness/useYield: every program is a generator, and these have nothing to wait for

function* tee(process: Process): Steps<number> {
  const args = process.argv.slice(1);
  const append = args.includes('-a');
  const text = yield* process.stdin.text();
  process.stdout.write(text);
  for (const name of args.filter((arg) => !arg.startsWith('-'))) {
    const path = pathOf(process, name);
    const { files } = process.machine;
    if (!files.write(path, (append ? (files.read(path) ?? '') : '') + text))
      throw new Exit(1, `tee: ${name}: No such file or directory`);
  }
  return 0;
}

export const SYSTEM: Record<string, Program> = {
  sudo,
  'apt-get': packages,
  apt: packages,
  yum: packages,
  dnf: packages,
  apk: packages,
  systemctl,
  service,
  lsmod,
  modprobe,
  chmod,
  ln,
  rm,
  mkdir,
  tee,
  which,
  docker,
};

/** Programs by their names: what guides type. */

import { curl } from './curl.js';
import { dig, getent, host, nslookup } from './dns-tools.js';
import { ip } from './ip.js';
import { nc } from './netcat.js';
import { arp, ifconfig, netstat, route, ss } from './netstat.js';
import { ping, ping6 } from './ping.js';
import type { Program } from './process.js';
import { redisCli } from './redis-cli.js';
import { SERVERS } from './servers.js';
import { sh } from './shell.js';
import { SMALL_TOOLS } from './small-tools.js';
import { tcpdump } from './tcpdump.js';
import { TEXT_TOOLS } from './text-tools.js';
import { traceroute, traceroute6 } from './traceroute.js';
import { wget } from './wget.js';

export const PROGRAMS: Readonly<Record<string, Program>> = {
  ...SMALL_TOOLS,
  ...TEXT_TOOLS,
  ...SERVERS,
  sh,
  ash: sh,
  bash: sh,
  zsh: sh,
  ping,
  ping6,
  traceroute,
  traceroute6,
  ip,
  ifconfig,
  route,
  arp,
  netstat,
  ss,
  nslookup,
  host,
  dig,
  getent,
  wget,
  curl,
  nc,
  netcat: nc,
  tcpdump,
  'redis-cli': redisCli,
};

/** By name or path: `ping`, `/bin/ping`. */
export function programOf(name: string): Program | undefined {
  const base = name.replace(/^\/(?:usr\/)?(?:local\/)?s?bin\//, '');
  return Object.hasOwn(PROGRAMS, base) ? PROGRAMS[base] : undefined;
}

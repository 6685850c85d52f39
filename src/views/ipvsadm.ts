/** `ipvsadm -Ln` (`--nosort`: destinations in the kernel's list order, else by address) and `ipvsadm -Ln --stats` (by address) of one namespace (1.31). */

import { type BalancedCounters, type BalancedService, servicesOf } from '../engine/balanced.js';
import type { Namespace } from '../engine/index.js';
import { ipv4, swap32 } from '../engine/wire.js';

const HEAD = 'IP Virtual Server version 1.2.1 (size=4096)\n';

export function ipvsadm(namespace: Namespace, { sorted = false }: { sorted?: boolean } = {}): string {
  const lines = [
    'Prot LocalAddress:Port Scheduler Flags',
    '  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn',
  ];
  for (const service of servicesOf(namespace)) {
    lines.push(`${serviceName(service)} rr`);
    for (const { address, port, weight, active, inactive } of sorted ? byAddress(service) : service.destinations) {
      const columns = [
        `${address}:${port}`.padEnd(28),
        'Masq'.padEnd(7),
        `${weight}`.padEnd(6),
        `${active}`.padEnd(10),
      ];
      lines.push(`  -> ${columns.join(' ')} ${`${inactive}`.padEnd(10)}`);
    }
  }
  return HEAD + lines.map((line) => `${line}\n`).join('');
}

export function ipvsadmStats(namespace: Namespace): string {
  const lines = [
    'Prot LocalAddress:Port               Conns   InPkts  OutPkts  InBytes OutBytes',
    '  -> RemoteAddress:Port',
  ];
  for (const service of servicesOf(namespace)) {
    lines.push(serviceName(service).padEnd(33) + numbers(service));
    for (const one of byAddress(service)) lines.push(`  -> ${`${one.address}:${one.port}`.padEnd(28)}${numbers(one)}`);
  }
  return HEAD + lines.map((line) => `${line}\n`).join('');
}

function byAddress({ destinations }: BalancedService): BalancedService['destinations'] {
  return [...destinations].sort((a, b) => order(a.address) - order(b.address) || a.port - b.port);
}

function order(address: string): number {
  return swap32(ipv4(address));
}

function serviceName({ mark, protocol, address, port }: BalancedService): string {
  return mark === undefined ? `${protocol === 17 ? 'UDP' : 'TCP'}  ${address}:${port}` : `FWM  ${mark}`;
}

function numbers({ connections, inPackets, outPackets, inBytes, outBytes }: BalancedCounters): string {
  return [connections, inPackets, outPackets, inBytes, outBytes].map((n) => ` ${short(n).padStart(8)}`).join('');
}

/** As ipvsadm shortens what is too long for its column. */
function short(value: number): string {
  if (value < 100_000_000) return `${value}`;
  const [unit, name] = (
    [
      [1e12, 'T'],
      [1e9, 'G'],
      [1e6, 'M'],
      [1e3, 'K'],
    ] as const
  ).find(([size]) => value >= size * 1000) ?? [1e6, 'M'];
  return `${Math.floor(value / unit)}${name}`;
}

/** `ip -s xfrm state`, `ip xfrm policy` (iproute2 6.1) and /proc/net/xfrm_stat of one namespace. */

import type { Association, Namespace, PolicySpec } from '../engine/index.js';

/** The newest first, as the kernel lists them. Dates are those of virtual time, UTC. */
export function ipXfrmState(namespace: Namespace, { statistics = true }: { statistics?: boolean } = {}): string {
  return namespace.xfrm.associations
    .flatMap((association) => (statistics ? stateLines(namespace, association) : briefLines(association)))
    .map((line) => `${line}\n`)
    .join('');
}

/** Without `-s`. */
function briefLines({ source, destination, spi, reqid, key, sequence }: Association): string[] {
  return [
    `src ${source} dst ${destination}`,
    `\tproto esp spi ${hex(spi)} reqid ${reqid} mode transport`,
    '\treplay-window 0 ',
    `\taead rfc4106(gcm(aes)) 0x${hexBytes(key)} 64`,
    `\tanti-replay context: seq 0x0, oseq 0x${sequence.toString(16)}, bitmap 0x00000000`,
    '\tsel src 0.0.0.0/0 dst 0.0.0.0/0 ',
  ];
}

function stateLines({ engine }: Namespace, association: Association): string[] {
  const { source, destination, spi, reqid, key, sequence, bytes, packets, added, used, integrityFailed, v6 } =
    association;
  const date = (time: number) => {
    const at = new Date(Number(engine.epoch / 1_000_000n) + time / 1e6).toISOString();
    return `${at.slice(0, 10)} ${at.slice(11, 19)}`;
  };
  const any = v6 ? '::/0' : '0.0.0.0/0';
  return [
    `src ${source} dst ${destination}`,
    `\tproto esp spi ${hex(spi)}(${spi}) reqid ${reqid}(${hex(reqid)}) mode transport`,
    '\treplay-window 0 seq 0x00000000 flag  (0x00000000)',
    `\taead rfc4106(gcm(aes)) 0x${hexBytes(key)} (160 bits) 64`,
    `\tanti-replay context: seq 0x0, oseq 0x${sequence.toString(16)}, bitmap 0x00000000`,
    `\tsel src ${any} dst ${any} uid 0`,
    '\tlifetime config:',
    '\t  limit: soft (INF)(bytes), hard (INF)(bytes)',
    '\t  limit: soft (INF)(packets), hard (INF)(packets)',
    '\t  expire add: soft 0(sec), hard 0(sec)',
    '\t  expire use: soft 0(sec), hard 0(sec)',
    '\tlifetime current:',
    `\t  ${bytes}(bytes), ${packets}(packets)`,
    `\t  add ${date(added)} use ${used === undefined ? '-' : date(used)}`,
    '\tstats:',
    `\t  replay-window 0 replay 0 failed ${integrityFailed}`,
  ];
}

/** The newest first. */
export function ipXfrmPolicy(namespace: Namespace): string {
  return namespace.xfrm.policies
    .flatMap(policyLines)
    .map((line) => `${line}\n`)
    .join('');
}

const PROTOCOLS: Record<number, string> = { 1: 'icmp', 6: 'tcp', 17: 'udp' };

function policyLines({ source, destination, protocol, port, mark, markMask, template }: PolicySpec): string[] {
  const bits = source.includes(':') ? 128 : 32;
  const selector = [
    `src ${source}/${bits} dst ${destination}/${bits}`,
    ...(protocol ? [`proto ${PROTOCOLS[protocol] ?? protocol}`] : []),
    ...(port ? [`dport ${port}`] : []),
  ];
  return [
    `${selector.join(' ')} `,
    '\tdir out priority 0 ptype main ',
    ...(mark || markMask ? [`\tmark 0x${mark.toString(16)}/0x${markMask.toString(16)} `] : []),
    `\ttmpl src ${template.source} dst ${template.destination}`,
    `\t\tproto esp${template.spi ? ` spi ${hex(template.spi)}` : ''} reqid ${template.reqid} mode transport`,
  ];
}

export function xfrmStat(namespace: Namespace): string {
  return [...namespace.xfrm.statistics].map(([name, count]) => `${name.padEnd(24)}\t${count}\n`).join('');
}

function hexBytes(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(8, '0')}`;
}

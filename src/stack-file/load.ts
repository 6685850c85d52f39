/** `traffic: - load: …`: many packets over many flows, at a rate. */
import type { LoadSpec } from '../topology/spec.js';
import { subnetOf } from './addresses.js';
import { endsOf } from './ends.js';
import type { Findings } from './findings.js';
import type { Parties } from './parties.js';
import { below } from './places.js';
import type { LoadEntry } from './section.js';

const PACKETS = 1000;
const SIZE = 64;
const RATE = 10_000;
/** The simple Internet mix, as frames: packets of 40, 576 and 1500 bytes, the first padded as Ethernet wants it. */
const IMIX = [
  { size: 60, weight: 7 },
  { size: 590, weight: 4 },
  { size: 1514, weight: 1 },
];
const LEAST = 60;
const MOST = 65_549;
const UNITS: Record<string, number> = { '': 1, k: 1e3, m: 1e6, g: 1e9 };
const MOST_RATE = 1e12;

export function readLoad(load: LoadEntry, pointer: string, parties: Parties, findings: Findings): LoadSpec {
  const listed = Array.isArray(load.from);
  const from = [load.from ?? 'client'].flat();
  const ends = from.map((speaker, index) =>
    endsOf(
      { to: load.to, from: speaker, ...(load.at === undefined ? {} : { at: load.at }) },
      'needed',
      pointer,
      parties,
      findings,
      listed ? below(`${pointer}/from`, index) : `${pointer}/from`,
    ),
  );
  const [first = { from: '', to: load.to, port: 0, at: {} }] = ends;
  if (load.sources !== undefined) checkSources(load.sources, first.to, from, pointer, parties, findings);
  return {
    kind: 'load',
    from,
    to: first.to,
    port: first.port,
    protocol: load.protocol ?? 'tcp',
    flows: load.flows ?? 1,
    packets: load.packets ?? PACKETS,
    sizes: sizesOf(load, pointer, findings),
    rate: rateOf(load.rate ?? RATE, `${pointer}/rate`, findings),
    arrivals: load.arrivals ?? 'constant',
    answered: load.answered ?? false,
    ...(load.sources === undefined ? {} : { sources: load.sources }),
    ...first.at,
  };
}

function sizesOf({ size, imix }: LoadEntry, pointer: string, findings: Findings): LoadSpec['sizes'] {
  const { places } = findings;
  if (size !== undefined && imix !== undefined && imix !== false)
    findings.refuse(
      places.key(`${pointer}/imix`),
      'a load has a "size" or an "imix", not both',
      'take one of them out',
    );
  if (imix === true) return IMIX;
  if (imix === undefined || imix === false) return [{ size: size ?? SIZE, weight: 1 }];
  return Object.entries(imix).map(([text, weight]) => {
    const bytes = Number(text);
    if (bytes < LEAST || bytes > MOST)
      findings.refuse(
        places.key(below(`${pointer}/imix`, text)),
        `a frame of ${text} bytes`,
        `frames have ${LEAST} to ${MOST} bytes, Ethernet header included`,
      );
    return { size: bytes, weight };
  });
}

/** `100000` and `100kpps` are packets a second, `1Gbps` is bits a second, of frames. */
function rateOf(rate: number | string, pointer: string, findings: Findings): LoadSpec['rate'] {
  const [, number = '', unit = '', what = 'pps'] = /^(\d+(?:\.\d+)?)\s*([kmg]?)(pps|bps)?$/i.exec(String(rate)) ?? [];
  const value = Number(number) * (UNITS[unit.toLowerCase()] ?? 1);
  if (number === '' || value <= 0 || value > MOST_RATE)
    findings.refuse(
      findings.places.value(pointer),
      `"${rate}" is no rate`,
      'write packets or bits a second: rate: 100000pps, rate: 1Gbps',
    );
  return what.toLowerCase() === 'bps' ? { bits: value } : { packets: value };
}

/** The nodes' answers to an address that they do not know go to their gateway: the first host outside. */
function checkSources(
  sources: string,
  to: string,
  from: readonly string[],
  pointer: string,
  parties: Parties,
  findings: Findings,
): void {
  const where = findings.places.value(`${pointer}/sources`);
  if (subnetOf(sources) === undefined)
    findings.refuse(where, `"${sources}" is no subnet`, 'write a subnet that nobody has: sources: 198.18.0.0/15');
  if (to.includes(':'))
    findings.refuse(where, `"sources" are IPv4 addresses, and ${to} is reached from IPv6 addresses`, 'leave them out');
  if (from.length !== 1 || from[0] !== parties.gateway)
    findings.refuse(
      where,
      `only "${parties.gateway}" speaks from other addresses than its own`,
      `answers to them go to the nodes' gateway: write from: ${parties.gateway}`,
    );
}

/** When the changes of a recording are made, and that they are the ones that it shows. */

import { describe, expect, test } from 'vitest';
import { layersOf } from '../../src/dissect/layers.js';
import { changesOf, describeChange, inOwnOrder, listed, startList } from '../../src/replay/changes.js';
import { completed, transportChecksumIsPartial, transportChecksumIsRight } from '../../src/replay/checksums.js';
import { conform } from '../../src/replay/conformance.js';
import type { ReadFile } from '../../src/replay/scenario.js';
import { atTheirSenders } from '../../src/replay/senders.js';
import { totalsOf } from '../../src/replay/table.js';
import { changingTopologyOf, topologyOf, waitingFor } from '../../src/replay/topology.js';
import { filesOf, recorded } from './recorded.js';

const NAME = 'S14-scale';
const scenario = recorded(NAME);
const { inputs } = scenario;
const stimuli = scenario.stimulusFrames();

/** The scenario with its `inputs.json` changed. */
function changed(edit: (text: string) => string): ReadFile {
  const read = filesOf(NAME);
  return (name) => {
    const bytes = read(name);
    if (name !== 'inputs.json' || !bytes) return bytes;
    const text = new TextDecoder().decode(bytes);
    const edited = edit(text);
    expect(edited).not.toBe(text);
    return new TextEncoder().encode(edited);
  };
}

async function differences(read: ReadFile): Promise<number> {
  const { compared } = await conform(NAME, read, ['path']);
  return totalsOf(compared.flatMap(({ taps }) => taps)).different;
}

describe('changes of a recording', () => {
  test('come directly before the first stimulus that shows them', () => {
    expect(changesOf(inputs, stimuli).map((change) => describeChange(change, stimuli))).toEqual([
      '10.0.0.27 goes before frame 17 of client.eth0.pcap (19.021 s), the first that shows it',
      '10.0.0.30 comes before frame 83 of client.eth0.pcap (95.900 s), the first that shows it',
      '10.0.0.28 comes before frame 83 of client.eth0.pcap (95.900 s), the first that shows it',
      '10.0.0.29 comes before frame 83 of client.eth0.pcap (95.900 s), the first that shows it',
      '10.0.0.30 goes before frame 209 of client.eth0.pcap (103.681 s), the first that shows it',
      '10.0.0.31 comes when its container started (126.870 s): no frame shows it',
    ]);
  });

  test('leave a destination in place that still speaks, but give it nothing new', () => {
    // As if the scheduler had passed it by before its last words.
    const early = stimuli.map((one, index) => ({ one, index }));
    const fin = early.find(({ one }) => one.pcap === 'node1.task-scaled.2.eth0.pcap' && one.kind === 'tcp-fin');
    const passed = early.findLast(({ one }) => one.kind === 'tcp-syn' && one.frame === 49)?.index ?? -1;
    if (!fin) throw new Error('no FIN of .27');
    const moved = [
      ...stimuli.slice(0, fin.index),
      ...stimuli.slice(fin.index + 1, passed + 4),
      fin.one,
      ...stimuli.slice(passed + 4),
    ];
    const changes = changesOf(inputs, moved).filter(({ address }) => address === '10.0.0.27');
    expect(changes.map(({ kind }) => kind)).toEqual(['idle', 'gone']);
    const last = moved.indexOf(fin.one);
    expect(changes[0]?.before).toBeLessThan(last);
    expect(changes[1]?.before).toBeGreaterThan(last);
  });

  test('start from the first list, in each balancer’s own order', () => {
    expect(startList(inputs, 269, ['10.0.0.31', '10.0.0.28', '10.0.0.29', '10.0.0.26'])).toEqual([
      '10.0.0.26',
      '10.0.0.27',
    ]);
    expect(
      [...listed(inputs)]
        .filter(([, atStart]) => !atStart)
        .map(([address]) => address)
        .sort(),
    ).toEqual(['10.0.0.28', '10.0.0.29', '10.0.0.30', '10.0.0.31']);
    expect(topologyOf(inputs).services[0]?.balancers.map(({ destinations }) => destinations)).toEqual([
      ['10.0.0.26', '10.0.0.27'],
      ['10.0.0.26', '10.0.0.27'],
    ]);
  });

  test('keep each node’s own order among what came together', () => {
    // .30 had gone before the dumps: it stays where the noted list has it.
    expect(inOwnOrder(['10.0.0.30', '10.0.0.28', '10.0.0.29'], ['10.0.0.26', '10.0.0.29', '10.0.0.28'])).toEqual([
      '10.0.0.30',
      '10.0.0.29',
      '10.0.0.28',
    ]);
  });

  test('leave the state that the last dump has, and frames as the taps have them, in either mode', async () => {
    const { compared } = await conform(NAME, filesOf(NAME));
    expect(compared.map(({ mode }) => mode)).toEqual(['path', 'stack']);
    for (const { taps, state } of compared) {
      expect(totalsOf(taps).different).toBe(0);
      expect(state?.different).toEqual([]);
      expect(state?.compared).toBeGreaterThan(500);
    }
  });

  test('wait where a list has a destination of which nothing else is known', () => {
    const later = { ...inputs.later, '7-more': { 269: ['10.0.0.99'] } };
    expect(waitingFor({ ...inputs, later })).toEqual(['10.0.0.99, a destination of which nothing else is known']);
  });

  test('two destinations that came in another order turn up as different', async () => {
    const swapped = changed((text) => text.replaceAll('"10.0.0.29", "10.0.0.28"', '"10.0.0.28", "10.0.0.29"'));
    expect(await differences(swapped)).toBeGreaterThan(0);
  });

  test('a destination that never goes turns up as different', async () => {
    const kept = changed((text) =>
      text.replaceAll('"10.0.0.29", "10.0.0.28", "10.0.0.26"', '"10.0.0.29", "10.0.0.28", "10.0.0.30", "10.0.0.26"'),
    );
    expect(await differences(kept)).toBeGreaterThan(0);
  });
});

describe('sandboxes that came while a scenario was recorded', () => {
  const { topology, later } = changingTopologyOf(inputs);

  test('have the ports that nobody else has, in the order in which they came', () => {
    expect(
      later.map(({ node, endpoints }) => [node, ...endpoints.map(({ address, peer }) => `${address} ${peer.name}`)]),
    ).toEqual([
      ['node1', '10.0.0.31/24 veth9', '172.19.0.4/16 veth81dc4f4'],
      ['node1', '10.0.0.28/24 veth7', '172.19.0.3/16 vetha48374c'],
      ['node2', '10.0.0.29/24 veth12', '172.18.0.4/16 veth5df47be'],
      ['node1', expect.stringMatching(/^10\.0\.0\.30\/24 /), expect.stringMatching(/^172\.19\.0\.\d+\/16 /)],
    ]);
  });

  test('one that is gone has the devices that were captured', () => {
    const gone = topology.sandboxes.find(({ name }) => name === 'task-scaled.2');
    expect(gone?.endpoints.map(({ interface: own, address, peer }) => `${own} ${address} ${peer.name}`)).toEqual([
      'eth0 10.0.0.27/24 veth6',
      expect.stringMatching(/^eth1 172\.19\.0\.\d+\/16 veth32f16db$/),
    ]);
  });

  test('send from their own sockets, with checksums that their kernel had left to the hardware', () => {
    const before = stimuli.find(({ kind, sender }) => kind === 'tcp-synack' && sender !== undefined);
    const [after] = before ? atTheirSenders([before], inputs, later) : [];
    if (!before || !after) throw new Error('no SYN, ACK of a sandbox without a capture');
    expect(after).toMatchObject({ device: 'eth0', socket: { source: { address: '10.0.0.29', port: 80 } } });
    const [, ip, tcp] = layersOf(before.data);
    if (!ip || !tcp) throw new Error('no TCP');
    expect(transportChecksumIsPartial(before.data, ip, tcp)).toBe(true);
    expect(transportChecksumIsRight(after.data, ip, tcp)).toBe(true);
    expect(completed(after.data)).toBe(after.data);
  });
});

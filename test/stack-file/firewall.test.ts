/** `firewall` of the x-swarmwire section: which ports, between whom. */

import { describe, expect, it } from 'vitest';
import { read as readFile, refusal } from './reading.js';

const file = (section: string) => `x-swarmwire:\n  nodes: 3\n${section}`;
const read = (section: string) => readFile(file(section)).spec;
const problems = (section: string) => refusal(file(section)).message;

describe('firewall', () => {
  it('blocks ports by their numbers, of both protocols without a word, ESP and the data path', () => {
    const { firewall } = read('  firewall: [{ block: [2377/tcp, 7946, 4789/udp, esp, data-path] }]');
    expect(firewall).toEqual([
      {
        block: [
          { protocol: 'tcp', port: 2377 },
          { protocol: 'tcp', port: 7946 },
          { protocol: 'udp', port: 7946 },
          { protocol: 'udp', port: 4789 },
          { protocol: 'esp' },
          { protocol: 'data-path' },
        ],
      },
    ]);
  });

  it('goes one way, or both ways between nodes', () => {
    const { firewall } = read(
      '  firewall:\n    - { block: esp, from: node1, to: [node2, node3] }\n    - { block: 4789/udp, between: [node1, node2] }',
    );
    expect(firewall).toEqual([
      { block: [{ protocol: 'esp' }], from: ['node1'], to: ['node2', 'node3'] },
      { block: [{ protocol: 'udp', port: 4789 }], from: ['node1', 'node2'], to: ['node1', 'node2'] },
    ]);
  });

  it('changes while traffic runs', () => {
    const { changes } = read(
      '  changes: [{ at: 5000, firewall: { block: [esp] } }, { at: 9000, firewall: { unblock: [esp] } }]',
    );
    const rule = { block: [{ protocol: 'esp' }] };
    expect(changes).toEqual([
      { at: 5000, what: 'block', rule },
      { at: 9000, what: 'unblock', rule },
    ]);
  });

  it('says what is wrong, and where', () => {
    expect(problems('  firewall: [{ block: [99999] }]')).toMatch(/stack\.yml:3:24: "99999" is no port/);
    expect(problems('  firewall: [{ block: [7946/sctp] }]')).toMatch(/"7946\/sctp" is no port/);
    expect(problems('  firewall: [{ block: [esp], to: node9 }]')).toMatch(/3:34: there is no node "node9"/);
    expect(problems('  firewall: [{ block: [esp], between: [node1, node2], to: node3 }]')).toMatch(
      /either between, or/,
    );
    expect(problems('  firewall: [{ block: [esp], between: [node1] }]')).not.toBe('');
    expect(problems('  firewall: [{ to: node1 }]')).toMatch(/lacks "block"/);
    expect(problems('  changes: [{ at: 1, firewall: { to: node1 } }]')).toMatch(/blocks, or unblocks/);
  });
});

/** Pictures of swarms: everything is on them, nothing lies on anything else, every wire ends where it should. */

import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { mermaid, type Picture, pictureOf, svg } from '../../src/draw/index.js';
import { type Area, CHARACTER, type Layout, LINE, layOut, lineMiddle, PADDING } from '../../src/draw/layout.js';
import { parseStackFile } from '../../src/stack-file/index.js';
import { plan } from '../../src/swarm/plan.js';

const STACK = `
services:
  web: { image: nginx, ports: ["8080:80", "5353:53/udp"], networks: [front, back], deploy: { replicas: 6 } }
  "db": { image: redis, networks: [back], deploy: { replicas: 2 } }
networks: { front: {}, back: { driver_opts: { com.docker.network.driver.mtu: "1400" } } }
`;

function picture(nodes: number, text = STACK): Picture {
  const { spec } = parseStackFile(text, { file: 'stack.yml', nodes });
  return pictureOf(plan(spec, 1).topology, 'stack.yml');
}

const overlap = (a: Area, b: Area) =>
  a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
const inside = (a: Area, b: Area) =>
  a.x >= b.x && a.y >= b.y && a.x + a.width <= b.x + b.width && a.y + a.height <= b.y + b.height;

function pairs<T>(things: readonly T[]): [T, T][] {
  return things.flatMap((one, index) => things.slice(index + 1).map((other): [T, T] => [one, other]));
}

describe.each([1, 3, 10])('a swarm of %i nodes', (nodes) => {
  const drawn = picture(nodes);
  let layout: Layout;

  test('has every machine, sandbox, bridge and address', async () => {
    layout = await layOut(drawn);
    expect(layout.machines.map(({ machine }) => machine.name)).toEqual([
      'client',
      ...Array.from({ length: nodes }, (_, i) => `node${i + 1}`),
    ]);
    const { spec } = parseStackFile(STACK, { file: 'stack.yml', nodes });
    const { topology } = plan(spec, 1);
    const document = await svg(drawn);
    const chart = mermaid(drawn);
    for (const { name, node, endpoints } of topology.sandboxes) {
      const box = layout.machines
        .find(({ machine }) => machine.name === node)
        ?.boxes.find(({ box: { title } }) => title === name);
      expect(box, `${node}/${name}`).toBeDefined();
      for (const { interface: device, address } of endpoints) {
        expect(box?.box.lines.map(({ text }) => text)).toContain(`${device} ${address}`);
        expect(document).toContain(`>${device} ${address}</text>`);
        expect(chart).toContain(`<br/>${device} ${address}`);
      }
    }
    for (const { name } of topology.networks.filter(({ driver }) => driver === 'overlay')) {
      expect(document).toContain(`>ov-${name}</text>`);
    }
  });

  test('overlaps nowhere, and every text fits its box', () => {
    for (const [a, b] of pairs(layout.machines))
      expect(overlap(a, b), `${a.machine.name}, ${b.machine.name}`).toBe(false);
    for (const placed of layout.machines) {
      expect(overlap(placed, layout.captions)).toBe(false);
      expect(inside(placed, { x: 0, y: 0, width: layout.width, height: layout.height })).toBe(true);
      for (const box of placed.boxes) {
        expect(inside(box, placed), box.box.id).toBe(true);
        const longest = Math.max(
          ...[box.box.title, ...box.box.lines.map(({ text }) => text)].map((text) => text.length),
        );
        expect(longest * CHARACTER + PADDING).toBeLessThanOrEqual(box.width);
        expect(lineMiddle(box.box.lines.length - 1) + LINE / 2).toBeLessThanOrEqual(box.height + 2);
      }
      for (const [a, b] of pairs(placed.boxes)) expect(overlap(a, b), `${a.box.id}, ${b.box.id}`).toBe(false);
    }
  });

  test('wires run from line to line', () => {
    for (const { boxes, wires, machine } of layout.machines) {
      expect(wires).toHaveLength(machine.wires.length);
      for (const { wire, points } of wires) {
        const [from, to] = [wire.from, wire.to].map(({ box }) => boxes.find((one) => one.box.id === box));
        if (!from || !to) throw new Error('a wire without its box');
        expect(points[0]).toEqual({ x: from.x + from.width, y: from.y + lineMiddle(wire.from.line) });
        expect(points.at(-1)).toEqual({ x: to.x, y: to.y + lineMiddle(wire.to.line) });
      }
    }
  });

  test('fits a screen in shape: neither a ribbon nor a tower', () => {
    expect(layout.width / layout.height).toBeGreaterThan(0.3);
    expect(layout.width / layout.height).toBeLessThan(3);
  });
});

describe('Mermaid', () => {
  test('declares every id that it joins, once, and closes every subgraph', () => {
    const lines = mermaid(picture(3)).split('\n');
    const declared = lines.flatMap((line) => /^ *(?:subgraph )?(n\d+)[[{]/.exec(line)?.[1] ?? []);
    expect(new Set(declared).size).toBe(declared.length);
    const joined = lines.flatMap((line) => {
      const [, a, b] = /^ *(n\d+) (?:---|-\.-|===)(?:\|"[^"]*"\|)? (n\d+)$/.exec(line) ?? [];
      return a && b ? [a, b] : [];
    });
    expect(joined.length).toBeGreaterThan(30);
    for (const name of joined) expect(declared).toContain(name);
    expect(lines.filter((line) => line.trim().startsWith('subgraph'))).toHaveLength(
      lines.filter((line) => line.trim() === 'end').length,
    );
  });
});

test('names are text, whatever is in them', async () => {
  const drawn: Picture = { ...picture(1), title: `<script>&"'` };
  expect(await svg(drawn)).toContain('<title>&lt;script&gt;&amp;"\'</title>');
  expect(mermaid(drawn)).toContain(`title: "<script>&#quot;'"`);
});

test('the same swarm is drawn the same', async () => {
  expect(await svg(picture(3))).toBe(await svg(picture(3)));
});

test('macvlans stand on their parent, without a bridge and without veths', () => {
  const spec = parseStackFile(readFileSync(new URL('../../examples/l2-networks.yml', import.meta.url), 'utf8'), {
    file: 'l2-networks.yml',
  }).spec;
  const drawn = pictureOf(plan(spec, 1).topology, 'l2');
  const [node] = drawn.nodes;
  expect(node?.boxes.map(({ title }) => title).sort()).toEqual([
    'ct-mq1',
    'ct-mq2',
    'ct-mv1',
    'ct-mv2',
    'eth0',
    'eth0.50',
  ]);
  expect(node?.wires.map(({ from, to, kind }) => `${from.box} ${kind} ${to.box}`).sort()).toEqual([
    'node1/ct-mq1 lower node1/eth0.50',
    'node1/ct-mq2 lower node1/eth0.50',
    'node1/ct-mv1 lower node1/eth0',
    'node1/ct-mv2 lower node1/eth0',
    'node1/eth0.50 lower node1/eth0',
  ]);
  expect(drawn.hosts.find(({ name }) => name === 'lan')?.boxes[0]?.lines.map(({ text }) => text)).toContain(
    'eth0.50 192.168.50.1/24',
  );
});

test('Weave Net is a bridge on each node, with its subnet and the tunnels to the others', () => {
  const text = readFileSync(new URL('../../examples/weave.yml', import.meta.url), 'utf8');
  const { spec } = parseStackFile(text, { file: 'weave.yml' });
  const drawn = pictureOf(plan(spec, 1).topology, 'weave.yml');
  for (const node of ['node1', 'node2']) {
    const { boxes = [], wires = [] } = drawn.nodes.find(({ name }) => name === node) ?? {};
    const box = boxes.find(({ title }) => title === 'weave');
    expect(box?.lines.map((line) => line.text)).toEqual(['10.0.1.0/24', expect.stringMatching(/^veth/), 'vxlan-6784']);
    expect(wires.filter(({ kind }) => kind === 'vxlan')).toHaveLength(1);
  }
});

/** A picture as a Mermaid flowchart, for Markdown: GitHub and many wikis draw it in place. https://mermaid.js.org/syntax/flowchart.html */

import { colourOf } from './colours.js';
import type { Box, Machine, Picture, Wire } from './picture.js';

export function mermaid(picture: Picture): string {
  const names = new Names();
  const machines = [...picture.hosts, ...picture.nodes];
  const underlay = names.of('underlay');
  const colours = colourOf(picture);
  const networks = new Set<string>();
  const lines = [
    '---',
    `title: ${quoted(picture.title)}`,
    '---',
    'flowchart LR',
    ...picture.captions.map(({ text }) => `  %% ${oneLine(text)}`),
    `  ${underlay}{{${quoted(picture.underlay)}}}`,
    ...machines.flatMap((machine) => machineLines(machine, names, networks)),
    ...machines.map(({ uplink }) => `  ${names.of(uplink)} --- ${underlay}`),
    ...[...networks].map(
      (name) => `  classDef ${names.of(`network ${name}`)} fill:${colours(name).fill},stroke:${colours(name).stroke}`,
    ),
  ];
  return `${lines.join('\n')}\n`;
}

function machineLines(machine: Machine, names: Names, networks: Set<string>): string[] {
  const boxes = new Map(machine.boxes.map((box) => [box.id, box]));
  return [
    `  subgraph ${names.of(`machine ${machine.name}`)}[${quoted(machine.title)}]`,
    ...machine.boxes.map((box) => {
      if (box.network !== undefined) networks.add(box.network);
      const style = box.network === undefined ? '' : `:::${names.of(`network ${box.network}`)}`;
      return `    ${names.of(box.id)}[${quoted(label(box))}]${style}`;
    }),
    ...machine.wires.map((wire) => `    ${wireLine(wire, boxes, names)}`),
    '  end',
  ];
}

/** The address of a bridge's own, and what leads nowhere: ends of wires are named on the wires. */
function label(box: Box): string {
  const lines = box.column === 'networks' ? box.lines.slice(0, 1) : box.lines;
  return [box.title, ...lines.map(({ text }) => text)].join('<br/>');
}

function wireLine({ from, to, kind }: Wire, boxes: ReadonlyMap<string, Box>, names: Names): string {
  const ends = `${names.of(from.box)} LINK ${names.of(to.box)}`;
  if (kind === 'routed' || kind === 'lower') return ends.replace('LINK', kind === 'lower' ? '===' : '---');
  const text = kind === 'vxlan' ? boxes.get(from.box)?.lines[from.line]?.text : boxes.get(to.box)?.lines[to.line]?.text;
  return ends.replace('LINK', `${kind === 'vxlan' ? '-.-' : '---'}|${quoted(text ?? '')}|`);
}

/** Mermaid's ids are plain words: `n0`, `n1`, … in the order in which things are met. */
class Names {
  readonly #known = new Map<string, string>();

  of(what: string): string {
    const known = this.#known.get(what);
    if (known !== undefined) return known;
    const name = `n${this.#known.size}`;
    this.#known.set(what, name);
    return name;
  }
}

/** Mermaid's strings know no backslash: a quotation mark is an entity. */
function quoted(text: string): string {
  return `"${oneLine(text).replaceAll('"', '#quot;')}"`;
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, ' ');
}

/** A picture as an SVG document of its own: no script, no font to load; every shape has a tooltip with its name. SVG 1.1. */

import { type Colour, colourOf } from './colours.js';
import {
  FONT,
  type Layout,
  LINE,
  layOut,
  lineMiddle,
  PADDING,
  type PlacedBox,
  type PlacedMachine,
  type Point,
} from './layout.js';
import type { Picture } from './picture.js';

type Colours = (network: string | undefined) => Colour;

export async function svg(picture: Picture): Promise<string> {
  const layout = await layOut(picture);
  const colours = colourOf(picture);
  const [width, height] = [Math.ceil(layout.width), Math.ceil(layout.height)];
  const lines = [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" font-family="ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="${FONT}">`,
    `<title>${escaped(picture.title)}</title>`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    ...captions(picture, layout, colours),
    ...underlay(picture, layout),
    ...layout.machines.flatMap((machine) => drawMachine(machine, colours)),
    '</svg>',
  ];
  return `${lines.join('\n')}\n`;
}

function captions(picture: Picture, { captions: { x, y } }: Layout, colours: Colours): string[] {
  return [
    text(x, y + FONT, picture.title, 'font-weight="bold"'),
    ...picture.captions.flatMap(({ network, text: words }, index) => {
      const baseline = y + FONT + LINE * (index + 1) + 6;
      const { fill, stroke } = colours(network);
      const swatch = `<rect x="${x}" y="${baseline - 10}" width="14" height="11" fill="${fill}" stroke="${stroke}"/>`;
      return [...(network === undefined ? [] : [swatch]), text(x + 22, baseline, words)];
    }),
  ];
}

function underlay({ underlay: name }: Picture, { buses, trunk }: Layout): string[] {
  const style = 'stroke="#333333" fill="none"';
  const [from] = buses[0] ?? trunk;
  return [
    ...[trunk, ...buses].map((ends) => `<path d="${path(ends)}" ${style} stroke-width="3"/>`),
    text(from.x + 6, from.y - 6, name, 'fill="#333333"'),
  ];
}

function drawMachine({ machine, boxes, wires, drop, ...area }: PlacedMachine, colours: Colours): string[] {
  return [
    `<g><title>${escaped(machine.title)}</title>`,
    rectangle(area, 'fill="#fafafa" stroke="#333333" rx="6"'),
    text(area.x + PADDING, area.y + LINE, machine.title, 'font-weight="bold"'),
    `<path d="${path(drop)}" stroke="#333333" stroke-width="2" fill="none"/>`,
    ...wires.map(({ wire: { kind, network }, points }) => {
      const stroke = kind === 'routed' ? '#999999' : colours(network).stroke;
      const dashes = { vxlan: ' stroke-dasharray="6 4"', routed: ' stroke-dasharray="1 3"', veth: '', lower: '' }[kind];
      return `<path d="${path(points)}" stroke="${stroke}" stroke-width="1.5" fill="none"${dashes}><title>${kind}${network === undefined ? '' : ` ${escaped(network)}`}</title></path>`;
    }),
    ...boxes.flatMap((placed) => drawBox(placed, colours)),
    '</g>',
  ];
}

function drawBox({ box, ...area }: PlacedBox, colours: Colours): string[] {
  const { fill, stroke } = colours(box.network);
  const plain = box.network === undefined;
  return [
    rectangle(area, `fill="${plain ? '#ffffff' : fill}" stroke="${plain ? '#555555' : stroke}" rx="3"`),
    text(area.x + PADDING, area.y + LINE, box.title, 'font-weight="bold"'),
    ...box.lines.map(({ text: words, network }, line) =>
      text(
        area.x + PADDING,
        area.y + lineMiddle(line) + 4,
        words,
        network === undefined ? '' : `fill="${colours(network).stroke}"`,
      ),
    ),
  ];
}

function rectangle(
  { x, y, width, height }: { x: number; y: number; width: number; height: number },
  rest: string,
): string {
  return `<rect x="${round(x)}" y="${round(y)}" width="${round(width)}" height="${round(height)}" ${rest}/>`;
}

function text(x: number, y: number, words: string, rest = ''): string {
  return `<text x="${round(x)}" y="${round(y)}"${rest === '' ? '' : ` ${rest}`}>${escaped(words)}</text>`;
}

function path(points: readonly Point[]): string {
  return points.map(({ x, y }, index) => `${index === 0 ? 'M' : 'L'}${round(x)} ${round(y)}`).join(' ');
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function escaped(words: string): string {
  return words.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

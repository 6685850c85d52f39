/**
 * Where everything stands. Inside a machine ELK's layered algorithm decides (sandboxes to the left, networks in the middle,
 * cards to the right); machines stand in rows, and a bus runs under each row: the underlay.
 * Lengths are SVG's pixels. Nothing overlaps, and a wire ends at its line.
 */

import elk, { type ELK, type ElkExtendedEdge, type ElkNode, type ElkPort } from 'elkjs/lib/elk.bundled.js';
import type { Box, Column, Machine, Picture, Wire } from './picture.js';

export interface Point {
  x: number;
  y: number;
}
export interface Area extends Point {
  width: number;
  height: number;
}
export interface PlacedBox extends Area {
  box: Box;
}
export interface PlacedWire {
  wire: Wire;
  points: Point[];
}
export interface PlacedMachine extends Area {
  machine: Machine;
  boxes: PlacedBox[];
  wires: PlacedWire[];
  /** From the uplink's box down to the bus. */
  drop: [Point, Point];
}
export interface Layout {
  width: number;
  height: number;
  /** The first caption's baseline is a LINE below. */
  captions: Area;
  machines: PlacedMachine[];
  /** The underlay: a trunk to the left and a bus under each row. */
  trunk: [Point, Point];
  buses: [Point, Point][];
}

/** Text is set in a monospace of this size; no character is wider. */
export const FONT = 12;
export const CHARACTER = FONT * 0.62;
export const LINE = 17;
export const PADDING = 8;
export const TITLE = 26;
const GAP = 28;
const MARGIN = 24;
/** A row of machines is about so many times as wide as all rows are high. */
const ASPECT = 1.7;

const COLUMNS: readonly Column[] = ['sandboxes', 'networks', 'cards'];

export async function layOut(picture: Picture): Promise<Layout> {
  const layered = new elk.default();
  const hosts = await Promise.all(picture.hosts.map((machine) => arrange(layered, machine)));
  const nodes = await Promise.all(picture.nodes.map((machine) => arrange(layered, machine)));
  const rows = [...(hosts.length > 0 ? [hosts] : []), ...inRows(nodes)];
  const captions: Area = {
    x: MARGIN,
    y: MARGIN,
    width: widest([picture.title, ...picture.captions.map(({ text }) => `   ${text}`)]),
    height: TITLE + picture.captions.length * LINE,
  };
  let y = captions.y + captions.height + GAP;
  const left = MARGIN + GAP;
  let right = captions.x + captions.width;
  const buses: [Point, Point][] = [];
  for (const row of rows) {
    const height = Math.max(...row.map((machine) => machine.height));
    const bus = y + height + GAP;
    let x = left;
    for (const machine of row) {
      move(machine, x, y, bus);
      x += machine.width + GAP;
    }
    const end = Math.max(...row.map(({ drop }) => drop[0].x));
    buses.push([
      { x: MARGIN, y: bus },
      { x: end, y: bus },
    ]);
    right = Math.max(right, x - GAP);
    y = bus + GAP;
  }
  const first = buses[0]?.[0] ?? { x: MARGIN, y };
  const last = buses.at(-1)?.[0] ?? first;
  return { width: right + MARGIN, height: y, captions, machines: rows.flat(), trunk: [first, last], buses };
}

/** As many to a row as make the whole about as wide as a screen is. */
function inRows(machines: PlacedMachine[]): PlacedMachine[][] {
  const area = machines.reduce((sum, { width, height }) => sum + (width + GAP) * (height + 2 * GAP), 0);
  const broad = Math.sqrt(area * ASPECT);
  const rows: PlacedMachine[][] = [];
  let used = 0;
  for (const machine of machines) {
    const row = rows.at(-1);
    // More than half of it fits: it belongs to this row.
    if (row && used + machine.width / 2 <= broad) row.push(machine);
    else {
      rows.push([machine]);
      used = 0;
    }
    used += machine.width + GAP;
  }
  return rows;
}

/** A machine by itself, its corner at 0, 0. */
async function arrange(layered: ELK, machine: Machine): Promise<PlacedMachine> {
  const graph: ElkNode = {
    id: machine.name,
    layoutOptions: {
      'elk.algorithm': 'layered',
      'elk.direction': 'RIGHT',
      'elk.partitioning.activate': 'true',
      'elk.edgeRouting': 'ORTHOGONAL',
      'elk.layered.considerModelOrder.strategy': 'NODES_AND_EDGES',
      'elk.layered.spacing.nodeNodeBetweenLayers': '44',
      'elk.spacing.nodeNode': '16',
      'elk.spacing.edgeEdge': '8',
      'elk.layered.spacing.edgeEdgeBetweenLayers': '7',
      'elk.padding': `[top=${TITLE + PADDING},left=16,bottom=16,right=16]`,
    },
    children: machine.boxes.map((box) => elkBox(box, machine.wires)),
    edges: machine.wires.map(
      (wire, index): ElkExtendedEdge => ({
        id: `wire${index}`,
        sources: [portName(wire, 'from', index)],
        targets: [portName(wire, 'to', index)],
      }),
    ),
  };
  const laid = await layered.layout<ElkNode>(graph);
  const boxes = (laid.children ?? []).map(
    (child, index): PlacedBox => ({ ...area(child), box: machine.boxes[index] as Box }),
  );
  const uplink = boxes.find(({ box }) => box.id === machine.uplink) ?? boxes[0];
  const x = uplink ? uplink.x + uplink.width / 2 : 0;
  const width = Math.max(laid.width ?? 0, widest([machine.title]) + 2 * PADDING);
  return {
    machine,
    ...{ x: 0, y: 0, width, height: laid.height ?? 0 },
    boxes,
    wires: (laid.edges ?? []).map((edge, index) => ({ wire: machine.wires[index] as Wire, points: points(edge) })),
    drop: [
      { x, y: uplink ? uplink.y + uplink.height : 0 },
      { x, y: laid.height ?? 0 },
    ],
  };
}

/** A port for each end of a wire, beside its line: wires leave to the right and arrive from the left. */
function elkBox(box: Box, wires: readonly Wire[]): ElkNode {
  const width = widest([box.title, ...box.lines.map(({ text }) => text)]) + 2 * PADDING;
  const ports = wires.flatMap((wire, index) => [
    ...(wire.from.box === box.id ? [port(wire, 'from', index, width)] : []),
    ...(wire.to.box === box.id ? [port(wire, 'to', index, 0)] : []),
  ]);
  return {
    id: box.id,
    width,
    height: TITLE + box.lines.length * LINE + PADDING / 2,
    ports,
    layoutOptions: {
      'elk.portConstraints': 'FIXED_POS',
      'elk.partitioning.partition': String(COLUMNS.indexOf(box.column)),
    },
  };
}

function port(wire: Wire, end: 'from' | 'to', index: number, x: number): ElkPort {
  return {
    id: portName(wire, end, index),
    x,
    y: lineMiddle(wire[end].line),
    width: 0,
    height: 0,
    layoutOptions: { 'elk.port.side': end === 'from' ? 'EAST' : 'WEST' },
  };
}

function portName(wire: Wire, end: 'from' | 'to', index: number): string {
  return `${wire[end].box} ${end} ${index}`;
}

/** From the top of a box. */
export function lineMiddle(line: number): number {
  return TITLE + line * LINE + LINE / 2 - 2;
}

function points({ sections }: ElkExtendedEdge): Point[] {
  return (sections ?? []).flatMap(({ startPoint, bendPoints, endPoint }) => [
    startPoint,
    ...(bendPoints ?? []),
    endPoint,
  ]);
}

function area({ x = 0, y = 0, width = 0, height = 0 }: ElkNode): Area {
  return { x, y, width, height };
}

function move(placed: PlacedMachine, x: number, y: number, bus: number): void {
  placed.x = x;
  placed.y = y;
  for (const box of placed.boxes) shift(box, x, y);
  for (const { points: way } of placed.wires) for (const point of way) shift(point, x, y);
  shift(placed.drop[0], x, y);
  placed.drop[1] = { x: placed.drop[0].x, y: bus };
}

function shift(point: Point, x: number, y: number): void {
  point.x += x;
  point.y += y;
}

function widest(texts: readonly string[]): number {
  return Math.ceil(Math.max(0, ...texts.map((text) => [...text].length)) * CHARACTER);
}

/** A line through measured points, as SVG: x on a logarithmic scale, y from 0. */

export interface Chart {
  title: string;
  x: string;
  y: string;
  points: readonly { x: number; y: number }[];
  /** A line across: a goal, and its name. */
  goal?: { y: number; name: string };
}

const WIDTH = 640;
const HEIGHT = 320;
const LEFT = 64;
const RIGHT = 24;
const TOP = 44;
const BOTTOM = 52;
/** The first and the last point stand so far from the ends of the lines across: their labels, too, are clear of the scale's. */
const INSET = 24;
const STEPS = 5;

export function svg({ title, x, y, points, goal }: Chart): string {
  const xs = points.map((point) => Math.log10(point.x));
  const [low, high] = [Math.min(...xs), Math.max(...xs)];
  const top = nice(Math.max(...points.map((point) => point.y), goal?.y ?? 0));
  const across = (value: number) =>
    round(LEFT + INSET + ((Math.log10(value) - low) / (high - low || 1)) * (WIDTH - LEFT - RIGHT - 2 * INSET));
  const down = (value: number) => round(HEIGHT - BOTTOM - (value / top) * (HEIGHT - TOP - BOTTOM));
  const grid = Array.from({ length: STEPS + 1 }, (_, step) => (top / STEPS) * step).flatMap((value) => [
    `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${down(value)}" y2="${down(value)}" stroke="#ddd"/>`,
    `<text x="${LEFT - 8}" y="${down(value) + 4}" text-anchor="end">${short(value)}</text>`,
  ]);
  const marks = points.flatMap((point) => [
    `<circle cx="${across(point.x)}" cy="${down(point.y)}" r="3.5" fill="#1f6feb"/>`,
    `<text x="${across(point.x)}" y="${HEIGHT - BOTTOM + 18}" text-anchor="middle">${short(point.x)}</text>`,
    `<text x="${across(point.x)}" y="${down(point.y) - 9}" text-anchor="middle" fill="#1f6feb">${short(point.y)}</text>`,
  ]);
  const line = points.map((point) => `${across(point.x)},${down(point.y)}`).join(' ');
  const limit = goal
    ? [
        `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${down(goal.y)}" y2="${down(goal.y)}" stroke="#d1242f" stroke-dasharray="5 4"/>`,
        `<text x="${LEFT + 6}" y="${down(goal.y) - 5}" fill="#d1242f">${goal.name}</text>`,
      ]
    : [];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">`,
    `<title>${title}</title>`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="white"/>`,
    `<text x="${WIDTH / 2}" y="20" text-anchor="middle" font-size="15">${title}</text>`,
    ...grid,
    ...limit,
    `<polyline points="${line}" fill="none" stroke="#1f6feb" stroke-width="2"/>`,
    ...marks,
    `<text x="${(LEFT + WIDTH - RIGHT) / 2}" y="${HEIGHT - 12}" text-anchor="middle">${x}</text>`,
    `<text x="16" y="${HEIGHT / 2}" text-anchor="middle" transform="rotate(-90 16 ${HEIGHT / 2})">${y}</text>`,
    '</svg>',
    '',
  ].join('\n');
}

/** 1, 2 or 5 times a power of ten, no less than `value`. */
function nice(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value || 1));
  return (([1, 2, 5, 10].find((step) => step * power >= value) ?? 10) as number) * power;
}

function short(value: number): string {
  if (value >= 1e6) return `${Number((value / 1e6).toPrecision(3))}M`;
  if (value >= 1e4) return `${Number((value / 1e3).toPrecision(3))}k`;
  return String(Number(value.toPrecision(3)));
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

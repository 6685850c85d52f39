/** Durations as Go and Compose write them: `10s`, `1m30s`, `1.5h`, `250ms`. */

const UNITS: Readonly<Record<string, number>> = { us: 1e3, µs: 1e3, ms: 1e6, s: 1e9, m: 60e9, h: 3600e9, d: 86400e9 };

/** ns; undefined: it is no duration. */
export function durationOf(text: string): number | undefined {
  if (text === '0') return 0;
  let rest = text;
  let sum = 0;
  while (rest !== '') {
    const [whole = '', amount = '', unit = ''] = /^(\d+(?:\.\d*)?|\.\d+)(us|µs|ms|s|m|h|d)/.exec(rest) ?? [];
    if (whole === '') return undefined;
    sum += Number(amount) * (UNITS[unit] ?? 0);
    rest = rest.slice(whole.length);
  }
  return text === '' ? undefined : Math.round(sum);
}

/** Where a command speaks: its answer to `out`, what is by the way to `err`. Colours only where a person looks on. */

import picocolors from 'picocolors';

export type Colours = ReturnType<typeof picocolors.createColors>;

export interface Terminal {
  out(text: string): void;
  err(text: string): void;
  colours: Colours;
  /** A person watches `err`: a line there may be overwritten. */
  watched: boolean;
}

/** https://no-color.org: any value but an empty one turns colours off. */
export function processTerminal(): Terminal {
  const { stdout, stderr, env } = process;
  const plain = (env.NO_COLOR ?? '') !== '' || env.TERM === 'dumb';
  return {
    out: (text) => void stdout.write(`${text}\n`),
    err: (text) => void stderr.write(`${text}\n`),
    colours: picocolors.createColors(stdout.isTTY === true && !plain),
    watched: stderr.isTTY === true && env.TERM !== 'dumb',
  };
}

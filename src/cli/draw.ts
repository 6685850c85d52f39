/** `swarmwire draw`: a stack file in, a picture of its swarm out, twice: SVG and Mermaid. */

import { basename, join } from 'node:path';
import { mermaid, pictureOf, svg } from '../draw/index.js';
import { MOST_NODES } from '../stack-file/section.js';
import { plan } from '../swarm/plan.js';
import { readArguments, wholeNumber } from './arguments.js';
import { BadInput, blaming } from './bad-input.js';
import type { Command } from './commands.js';
import { DRAW_HELP } from './draw-help.js';
import { loadDrivers, readStackFile } from './input.js';
import { writeOutputs } from './output.js';

export const draw: Command = {
  help: DRAW_HELP,
  async run(args, terminal) {
    const { values, positionals } = readArguments(args, {
      nodes: { type: 'string' },
      driver: { type: 'string', multiple: true, default: [] },
      out: { type: 'string', default: 'drawings' },
      seed: { type: 'string' },
    });
    const [file, ...more] = positionals;
    if (file === undefined) throw new BadInput('draw: which stack file?', 'swarmwire draw examples/three-tier.yml');
    if (more.length > 0) throw new BadInput(`draw: one stack file at a time, and ${more.join(', ')} is too many`);
    if (values.out === '') throw new BadInput('--out: the name of a directory is missing');
    const seed = wholeNumber('seed', values.seed, 0, Number.MAX_SAFE_INTEGER) ?? 1;
    const drivers = await loadDrivers(values.driver);
    const { spec } = readStackFile(file, wholeNumber('nodes', values.nodes, 1, MOST_NODES), drivers);
    const { topology, pending } = planned(file, () => plan(spec, seed, drivers));
    const picture = pictureOf(topology, basename(file));
    const name = basename(file).replace(/(.)\.ya?ml$/i, '$1');
    const files = [
      { path: join(values.out, `${name}.svg`), text: await svg(picture) },
      { path: join(values.out, `${name}.mmd`), text: mermaid(picture) },
    ];
    writeOutputs(files);
    for (const words of pending) terminal.out(`${terminal.colours.yellow('pending')}: ${words}`);
    for (const { path } of files) terminal.out(path);
    return 0;
  },
};

function planned<T>(file: string, make: () => T): T {
  try {
    return make();
  } catch (error) {
    throw blaming(file, error);
  }
}

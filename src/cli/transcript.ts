/** `swarmwire transcript`: a guide's commands, and what comes of them. */

import { readFileSync } from 'node:fs';
import { clientVersion } from '../docker/client.js';
import { blocksOf, GuideError } from '../docker/transcript/guide.js';
import { plainBlocks } from '../docker/transcript/plain.js';
import { Guide, type Result } from '../docker/transcript/runner.js';
import { hasTerminals } from '../docker/transcript/session.js';
import { stepsOf } from '../docker/transcript/steps.js';
import { MOST_NODES } from '../stack-file/section.js';
import { readArguments, wholeNumber } from './arguments.js';
import { BadInput } from './bad-input.js';
import type { Command } from './commands.js';
import { TRANSCRIPT_HELP } from './transcript-help.js';
import { resultJson, resultText, summaryText } from './transcript-text.js';

export const transcript: Command = {
  help: TRANSCRIPT_HELP,
  async run(args, terminal) {
    const { values, positionals } = readArguments(args, {
      nodes: { type: 'string' },
      client: { type: 'string', default: 'docker' },
      brief: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      seed: { type: 'string' },
    });
    const [file, ...more] = positionals;
    if (file === undefined) throw new BadInput('transcript: which guide?', 'swarmwire transcript GUIDE.md');
    if (more.length > 0) throw new BadInput(`transcript: one guide at a time, and ${more.join(', ')} is too many`);
    const nodes = wholeNumber('nodes', values.nodes, 1, MOST_NODES);
    const seed = wholeNumber('seed', values.seed, 0, Number.MAX_SAFE_INTEGER) ?? 1;
    const { blocks, steps } = readGuide(file);
    const version = clientVersion(values.client);
    if (version === undefined)
      throw new BadInput(
        `transcript: there is no docker command here (${values.client})`,
        'only the client is needed, no engine: the package docker-cli, or docker.io on Debian; or --client PATH',
      );
    if (!hasTerminals() && steps.some(({ shell }) => shell === 'container'))
      throw new BadInput(
        'transcript: the guide types into containers, and there is no script command here',
        'it is in the package bsdutils, or util-linux',
      );
    const guide = new Guide(blocks, steps, { client: values.client, seed, ...(nodes === undefined ? {} : { nodes }) });
    if (!values.json)
      terminal.out(`${file}: ${steps.length} commands, docker ${version}, nodes ${guide.machines.nodes.join(' ')}`);
    const results: Result[] = [];
    for await (const result of guide.run()) {
      results.push(result);
      if (!values.json)
        for (const line of resultText(result, { file, brief: values.brief, width: 160 })) terminal.out(line);
    }
    if (values.json) terminal.out(JSON.stringify(results.map(resultJson), null, 2));
    else for (const line of summaryText(results)) terminal.out(line);
    return results.some(({ outcome }) => outcome === 'differs') ? 1 : 0;
  },
};

function readGuide(file: string) {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new BadInput(`cannot read ${file}: ${(error as Error).message}`);
  }
  try {
    let blocks = blocksOf(text, file);
    if (blocks.length === 0) blocks = plainBlocks(text);
    const steps = stepsOf(blocks);
    if (steps.length === 0)
      throw new BadInput(
        `${file}: no command is found in it`,
        'commands stand in blocks of code, fenced or indented; in plain text on lines of their own',
      );
    return { blocks, steps };
  } catch (error) {
    if (error instanceof GuideError) throw new BadInput(error.message);
    throw error;
  }
}

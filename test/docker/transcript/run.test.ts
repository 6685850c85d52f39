/** The guides of docs/guides, run with the real docker command: everything comes out as they print it. */

import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { clientVersion } from '../../../src/docker/transcript/client.js';
import { blocksOf } from '../../../src/docker/transcript/guide.js';
import { Guide, type Result } from '../../../src/docker/transcript/runner.js';
import { hasTerminals } from '../../../src/docker/transcript/session.js';
import { stepsOf } from '../../../src/docker/transcript/steps.js';

const CLIENT = ['docker', '/usr/bin/docker', '/usr/local/bin/docker'].find((program) => clientVersion(program));
const SLOW = 180_000;

async function transcript(text: string, file = 'guide.md'): Promise<Result[]> {
  const blocks = blocksOf(text, file);
  const guide = new Guide(blocks, stepsOf(blocks), { client: CLIENT ?? '', seed: 1 });
  const results: Result[] = [];
  for await (const result of guide.run()) results.push(result);
  return results;
}

const GUIDES = new URL('../../../docs/guides/', import.meta.url);
test.skipIf(!CLIENT || !hasTerminals()).each(readdirSync(GUIDES).filter((name) => name.endsWith('.md')))(
  '%s',
  { timeout: SLOW },
  async (name) => {
    const results = await transcript(readFileSync(new URL(name, GUIDES), 'utf8'), name);
    expect(results.length).toBeGreaterThan(5);
    const others = results.filter(({ outcome }) => outcome !== 'equal' && outcome !== 'skipped');
    expect(
      others.map(({ step, outcome, rows }) => ({ line: step.line, command: step.command, outcome, rows })),
    ).toEqual([]);
  },
);

test.skipIf(!CLIENT)(
  'a guide that is wrong is told so; what is not simulated is explained by name',
  { timeout: SLOW },
  async () => {
    const results = await transcript(
      [
        '```',
        '$ docker network create alpha',
        '$ docker network ls --filter name=alpha',
        'NETWORK ID     NAME      DRIVER    SCOPE',
        '17e324f45964   alpha     overlay   swarm',
        '$ docker network create alpha',
        '$ helios jobs',
        'JOB ID NAME',
        '$ docker -H tcp://192.0.2.1:2375 ps',
        '$ docker network ls --filter name=alpha --quiet | wc -l',
        '1',
        '```',
      ].join('\n'),
    );
    expect(results.map(({ outcome, reasons }) => [outcome, ...reasons.map(({ name }) => name)])).toEqual([
      ['equal'],
      ['differs'],
      ['explained', 'guide-order'],
      ['explained', 'not-simulated'],
      ['explained', 'refused'],
      ['equal'],
    ]);
  },
);

/** The library face runs where there is no Node: no `node:` module is loaded, and no builtin by its bare name. */

import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const library = new URL('../dist/index.js', import.meta.url);

/** Module hooks that refuse Node's builtins. */
const hooks = `
  import { builtinModules } from 'node:module';
  export async function resolve(specifier, context, next) {
    if (specifier.startsWith('node:') || builtinModules.includes(specifier))
      throw new Error('imports ' + specifier + ' from ' + context.parentURL);
    return next(specifier, context);
  }
`;

const program = `
  const { Swarm, parseStackFile } = await import(${JSON.stringify(library.href)});
  const text = 'services: { web: { image: nginx, ports: ["8080:80"] } }';
  const { spec } = parseStackFile(text, { file: 'stack.yml' });
  const swarm = await Swarm.create(spec);
  swarm.tap('node1/host/eth0');
  const reports = swarm.play();
  console.log(JSON.stringify({ ok: reports.every((one) => one.ok), frames: swarm.frames().length }));
`;

test('a stack file is read, a swarm runs and frames are captured without a module of Node', () => {
  const register = `import { register } from 'node:module'; register('data:text/javascript,' + encodeURIComponent(${JSON.stringify(hooks)}), ${JSON.stringify(import.meta.url)});`;
  const output = execFileSync(
    process.execPath,
    [
      '--conditions=browser',
      '--import',
      `data:text/javascript,${encodeURIComponent(register)}`,
      '--input-type=module',
      '--eval',
      program,
    ],
    { encoding: 'utf8', cwd: fileURLToPath(new URL('..', import.meta.url)) },
  );
  const { ok, frames } = JSON.parse(output);
  expect(ok).toBe(true);
  expect(frames).toBeGreaterThan(20);
});

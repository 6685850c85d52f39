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
  const builtins = [...globalThis.required];
  console.log(JSON.stringify({ ok: reports.every((one) => one.ok), frames: swarm.frames().length, builtins }));
`;

test('a stack file is read, a swarm runs and frames are captured without a module of Node', () => {
  const watch = `const load = Module._load; globalThis.required = new Set();
    Module._load = (name, ...rest) => { if (isBuiltin(name)) globalThis.required.add(name); return load(name, ...rest); };`;
  const register = `import Module, { isBuiltin, register } from 'node:module'; ${watch} register('data:text/javascript,' + encodeURIComponent(${JSON.stringify(hooks)}), ${JSON.stringify(import.meta.url)});`;
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
  const { ok, frames, builtins } = JSON.parse(output);
  expect(ok).toBe(true);
  expect(frames).toBeGreaterThan(20);
  // dns-packet asks for Buffers by this name, which a bundle for a browser takes from the package of that name.
  // The yaml package asks for `process` in its build for Node, and has another one for browsers.
  expect(builtins.sort()).toEqual(['buffer', 'process']);
});

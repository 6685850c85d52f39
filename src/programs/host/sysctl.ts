/** sysctl (procps 4.0): reads and writes the kernel's settings under /proc/sys/net. */

import { readOptions } from '../arguments.js';
import { Exit, type Process, pathOf } from '../process.js';
import type { Steps } from '../steps.js';
import { setSysctl, sysctlsOf } from './sysctls.js';

export function* sysctl(process: Process): Steps<number> {
  const options = readOptions('sysctl', process.argv.slice(1), {
    short: 'anNeqwpbr:A',
    long: ['all', 'values', 'names', 'quiet', 'write', 'system', 'load'],
  });
  const { namespace } = process.machine;
  const all = sysctlsOf(namespace);
  const show = (name: string, value: string) => {
    if (options.has('n') || options.has('values')) process.stdout.write(`${value}\n`);
    else if (options.has('N') || options.has('names')) process.stdout.write(`${keyOf(name)}\n`);
    else process.stdout.write(`${keyOf(name)} = ${value}\n`);
  };
  if (options.has('a') || options.has('all') || options.has('A')) {
    const pattern = options.value('r');
    for (const [name, setting] of all) if (!pattern || keyOf(name).includes(pattern)) show(name, setting.get());
    return 0;
  }
  const words = [...options.operands];
  if (options.has('p') || options.has('load') || options.has('system'))
    words.splice(0, words.length, ...settingsIn(process, words[0] ?? '/etc/sysctl.conf'));
  if (words.length === 0)
    throw new Exit(1, "sysctl: no variables specified\nTry `sysctl --help' for more information.");
  let status = 0;
  for (const word of words) {
    const [key = '', ...value] = word.split('=');
    const name = nameOf(key.trim());
    if (value.length === 0) {
      const found = [...sysctlsOf(namespace)].filter(([one]) => one === name || one.startsWith(`${name}/`));
      for (const [one, setting] of found) show(one, setting.get());
      if (found.length > 0) continue;
    } else {
      const outcome = setSysctl(namespace, name, value.join('='));
      if (outcome === 'set') {
        if (!options.has('q') && !options.has('quiet')) show(name, value.join('=').trim());
        continue;
      }
      if (outcome !== 'unknown') {
        const why =
          outcome === 'invalid' ? 'Invalid argument' : 'Operation not supported (it has no effect in the simulation)';
        process.stderr.write(`sysctl: setting key "${key.trim()}": ${why}\n`);
        status = 1;
        continue;
      }
    }
    if (!options.has('e')) {
      process.stderr.write(
        `sysctl: cannot stat /proc/sys/${key.trim().replaceAll('.', '/')}: No such file or directory\n`,
      );
      status = 1;
    }
  }
  return status;
}

/** `net.ipv4.conf.eth0/50.forwarding` is how a dot inside a name is written. */
function nameOf(key: string): string {
  const slashed = key.includes('/') && !/^net\./.test(key);
  const path = slashed ? key : [...key].map((c) => (c === '.' ? '/' : c === '/' ? '.' : c)).join('');
  return path.replace(/^\/?(?:proc\/sys\/)?net\//, '');
}
function keyOf(name: string): string {
  return `net.${[...name].map((c) => (c === '/' ? '.' : c === '.' ? '/' : c)).join('')}`;
}

function settingsIn(process: Process, file: string): string[] {
  const text = process.machine.files.read(pathOf(process, file));
  if (text === undefined) throw new Exit(1, `sysctl: cannot open "${file}": No such file or directory`);
  return text.split('\n').filter((line) => /^\s*[^#;\s].*=/.test(line));
}

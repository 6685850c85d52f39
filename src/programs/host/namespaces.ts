/** nsenter (util-linux 2.38) and `ip netns` (iproute2 6.1), as far as network namespaces go. */

import { Exit, type Process, pathOf } from '../process.js';
import type { Steps } from '../steps.js';
import { OWN_NETNS } from './files.js';
import { become, hostFiles } from './inside.js';

export function* nsenter(process: Process): Steps<number> {
  const args = process.argv.slice(1);
  let file: string | undefined;
  let target: string | undefined;
  let net = false;
  while (args[0]?.startsWith('-')) {
    const arg = args.shift() ?? '';
    if (arg === '--') break;
    const [, letters = ''] = /^-([a-zA-Z]+)$/.exec(arg) ?? [];
    if (arg.startsWith('--net=') || /^-n./.test(arg)) file = arg.replace(/^(?:--net=|-n=?)/, '');
    else if (arg === '--net') net = true;
    else if (arg === '--target' || arg === '-t') target = args.shift();
    else if (arg.startsWith('--target=')) target = arg.slice('--target='.length);
    else if (/^-t\d+$/.test(arg)) target = arg.slice(2);
    // A container's other namespaces are the node's own here; what runs in them is the node's programs.
    else if (/^--(?:mount|uts|ipc|pid|user|cgroup|all|time|root|wd|preserve-credentials)$/.test(arg))
      net ||= arg === '--all';
    else if (/^[amuipnUCTrwF]+$/.test(letters)) net ||= /[an]/.test(letters);
    else throw new Exit(1, `nsenter: unrecognized option '${arg}'\nTry 'nsenter --help' for more information.`);
  }
  if (net && target === undefined) throw new Exit(1, 'nsenter: no target PID specified for --net');
  const { machine } = process;
  let { namespace } = machine;
  const path = file ?? (target !== undefined && net ? `/proc/${target}/ns/net` : undefined);
  if (path !== undefined) {
    const found = hostFiles(machine).netns(pathOf(process, path));
    if (!found) throw new Exit(1, `nsenter: cannot open ${path}: No such file or directory`);
    namespace = found;
  }
  const argv = args.length > 0 ? args : ['sh'];
  const status = yield* become(process, argv, namespace);
  if (status === undefined) throw new Exit(127, `nsenter: failed to execute ${argv[0]}: No such file or directory`);
  return status;
}

/** `ip netns …` */
export function* ipNetns(process: Process, args: readonly string[]): Steps<number> {
  const [verb = 'list', name = '', ...rest] = args;
  const { machine, stdout } = process;
  const files = hostFiles(machine);
  if ('list'.startsWith(verb) || verb === 'show') {
    for (const one of files.list(OWN_NETNS) ?? []) stdout.write(`${one}\n`);
    return 0;
  }
  const found = files.netns(`${OWN_NETNS}/${name}`);
  if ('exec'.startsWith(verb)) {
    if (name === '') throw new Exit(255, 'No netns name specified');
    if (rest.length === 0) throw new Exit(255, 'No command specified');
    if (!found) throw new Exit(255, `Cannot open network namespace "${name}": No such file or directory`);
    const status = yield* become(process, rest, found);
    if (status === undefined) throw new Exit(1, `exec of "${rest[0]}" failed: No such file or directory`);
    return status;
  }
  if ('add'.startsWith(verb)) {
    if (name === '') throw new Exit(255, 'No netns name specified');
    if (found) throw new Exit(1, `Cannot create namespace file "/run/netns/${name}": File exists`);
    const { engine } = machine.namespace;
    // The loopback device of a new one is down.
    const made = engine.namespace(`${machine.hostname}/netns-${name}`);
    made.device('lo').up = false;
    files.store.ownNetns.set(name, made);
    return 0;
  }
  if ('delete'.startsWith(verb)) {
    const own = files.store.ownNetns.get(name);
    if (!own)
      throw new Exit(
        1,
        found
          ? `Cannot remove namespace file "/run/netns/${name}": Device or resource busy`
          : `Cannot remove namespace file "/run/netns/${name}": No such file or directory`,
      );
    files.store.ownNetns.delete(name);
    machine.sockets.kill(own, own.engine.now);
    own.engine.removeNamespace(own);
    return 0;
  }
  if ('pids'.startsWith(verb) || 'identify'.startsWith(verb)) return 0;
  throw new Exit(255, `Command "${verb}" is unknown, try "ip netns help".`);
}

/** `ip` (iproute2 6.1): its objects, by names that may be cut short. */

import { ipXfrmPolicy, ipXfrmState } from '../../views/index.js';
import { Exit, type Process } from '../process.js';
import type { Steps } from '../steps.js';
import { OWN_NETNS } from './files.js';
import { become, hostFiles } from './inside.js';
import { ipAddress } from './ip-address.js';
import { ipLink } from './ip-link.js';
import { ipNeighbour } from './ip-neighbour.js';
import { ipRoute } from './ip-route.js';
import { answers, type IpOptions, shows } from './ip-words.js';
import { ipNetns } from './namespaces.js';

/** In ip's own order: a name that is cut short means the first that begins so. */
const OBJECTS = ['address', 'route', 'rule', 'neighbor', 'neighbour', 'link', 'xfrm', 'netns'] as const;
const USAGE =
  'Usage: ip [ OPTIONS ] OBJECT { COMMAND | help }\nwhere  OBJECT := { address | link | neighbour | netns | route | rule | xfrm }\n       OPTIONS := { -V[ersion] | -s[tatistics] | -d[etails] | -4 | -6 | -o[neline] | -br[ief] | -n[etns] name }';

export function* ip(process: Process): Steps<number> {
  const args = process.argv.slice(1);
  const options: IpOptions = { details: false, statistics: false, oneline: false, brief: false, family: undefined };
  while (args[0]?.startsWith('-')) {
    const flag = (args.shift() ?? '').replace(/^--/, '-');
    if (flag === '-4' || flag === '-6') options.family = flag === '-4' ? 4 : 6;
    else if (flag === '-f' || flag === '-family') options.family = args.shift() === 'inet6' ? 6 : 4;
    else if (flag.startsWith('-d')) options.details = true;
    else if (flag.startsWith('-s')) options.statistics = true;
    else if (flag.startsWith('-o')) options.oneline = true;
    else if (flag.startsWith('-br')) options.brief = true;
    else if (flag.startsWith('-c') || flag === '-r' || flag === '-a') continue;
    else if (flag === '-V' || flag === '-Version') {
      process.stdout.write('ip utility, iproute2-6.1.0, libbpf 1.1.2\n');
      return 0;
    } else if (flag.startsWith('-n')) return yield* elsewhere(process, args);
    else if (flag === '-h' || flag === '-help') throw new Exit(0, USAGE);
    else throw new Exit(255, `Option "${flag}" is unknown, try "ip -help".`);
  }
  const [word = '', ...rest] = args;
  if (word === '' || word === 'help') throw new Exit(word === '' ? 255 : 0, USAGE);
  const { namespace } = process.machine;
  const object = OBJECTS.find((name) => name.startsWith(word));
  if (!process.machine.host && object) {
    if (!isAllowed(object, rest)) throw answers('Operation not permitted');
    // Nobody has made a namespace here.
    if (object === 'netns') return 0;
  }
  switch (object) {
    case 'address':
      process.stdout.write(ipAddress(namespace, rest, options));
      return 0;
    case 'link':
      process.stdout.write(ipLink(process, rest, options));
      return 0;
    case 'route':
      process.stdout.write(ipRoute(namespace, rest, options));
      return 0;
    case 'neighbor':
    case 'neighbour':
      process.stdout.write(ipNeighbour(namespace, rest, options));
      return 0;
    case 'rule':
      process.stdout.write(rules(rest));
      return 0;
    case 'xfrm':
      process.stdout.write(xfrm(process, rest, options));
      return 0;
    case 'netns':
      return yield* ipNetns(process, rest);
    default:
      throw new Exit(1, `Object "${word}" is unknown, try "ip help".`);
  }
}

/** In a container, which is not privileged: what changes nothing. */
function isAllowed(object: (typeof OBJECTS)[number], [verb, second]: readonly string[]): boolean {
  if (object === 'xfrm') return verb === undefined || shows(second);
  return shows(verb) || verb === 'help' || (object === 'route' && 'get'.startsWith(verb ?? ''));
}

/** `ip -n NAME …` is `ip netns exec NAME ip …`. */
function* elsewhere(process: Process, [name = '', ...rest]: readonly string[]): Steps<number> {
  if (!process.machine.host) throw answers('Operation not permitted');
  const found = hostFiles(process.machine).netns(`${OWN_NETNS}/${name}`);
  if (!found) throw new Exit(255, `Cannot open network namespace "${name}": No such file or directory`);
  return (yield* become(process, ['ip', ...rest], found)) ?? 1;
}

/** Policy routing is not simulated: there are the rules that every namespace has. */
function rules([verb]: readonly string[]): string {
  if (shows(verb)) return '0:\tfrom all lookup local\n32766:\tfrom all lookup main\n32767:\tfrom all lookup default\n';
  throw new Exit(2, 'RTNETLINK answers: Operation not supported (policy routing is not simulated)');
}

function xfrm(process: Process, [object = '', verb]: readonly string[], { statistics }: IpOptions): string {
  const { namespace } = process.machine;
  if (object === '')
    throw new Exit(255, 'Usage: ip xfrm XFRM-OBJECT { COMMAND | help }\nwhere  XFRM-OBJECT := { state | policy }');
  const kind = ['state', 'policy'].find((one) => one.startsWith(object));
  if (!kind) throw new Exit(255, `Object "${object}" is unknown, try "ip xfrm help".`);
  if (!shows(verb))
    throw new Exit(2, 'RTNETLINK answers: Operation not supported (an encrypted overlay makes them by itself)');
  return kind === 'state' ? ipXfrmState(namespace, { statistics }) : ipXfrmPolicy(namespace);
}

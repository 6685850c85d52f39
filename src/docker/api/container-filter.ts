/** `docker ps --filter` (moby daemon/list.go). */

import type { ContainerState } from '../../swarm/state.js';
import { portOf } from '../container-config.js';
import type { World } from '../world.js';
import { expression, hasLabels, oneOf, refuseUnknown, wholeNumber } from './body.js';
import { networkIdOf, networkNames, statusOf } from './container-json.js';
import { type Engine, flag } from './context.js';

const FILTERS = [
  'id',
  'name',
  'label',
  'status',
  'ancestor',
  'network',
  'publish',
  'expose',
  'is-task',
  'exited',
  'health',
  'before',
  'since',
  'volume',
  'isolation',
];
const STATUSES = ['created', 'running', 'paused', 'restarting', 'removing', 'exited', 'dead'];
const HEALTHS = ['none', 'starting', 'healthy', 'unhealthy'];

/** As images are known: `nginx` → `nginx:latest` */
export function nameOf(reference: string): string {
  return /:[^/]+$/.test(reference) || reference.includes('@')
    ? reference.replace(/@.*$/, '').replace(/^docker\.io\/(?:library\/)?/, '')
    : `${reference.replace(/^docker\.io\/(?:library\/)?/, '')}:latest`;
}

/** @throws ApiError for what cannot be asked */
export function containerFilter(
  { world, node }: Engine,
  filters: ReadonlyMap<string, string[]>,
): (container: ContainerState) => boolean {
  refuseUnknown(filters, FILTERS);
  oneOf(filters, 'status', STATUSES);
  oneOf(filters, 'health', HEALTHS);
  const codes = filters.get('exited')?.map(wholeNumber);
  const other = (key: string) => {
    const [name] = filters.get(key) ?? [];
    return name === undefined ? undefined : world.cluster.container(name, node);
  };
  const [before, since] = [other('before'), other('since')];
  return (container) => {
    const any = (key: string, test: (value: string) => boolean) => {
      const wanted = filters.get(key);
      return wanted === undefined || wanted.length === 0 || wanted.some(test);
    };
    const config = world.configOf(container);
    return (
      any('id', (one) => container.id.startsWith(one)) &&
      any('name', (one) => expression(one).test(`/${container.name}`) || expression(one).test(container.name)) &&
      hasLabels(config.labels, filters.get('label') ?? []) &&
      any('status', (one) => one === statusOf(world, container)) &&
      any('health', (one) => one === (world.healthOf(container)?.status ?? 'none')) &&
      any('ancestor', (one) => nameOf(one) === config.image.name || config.image.id.slice(7).startsWith(one)) &&
      any('network', (one) =>
        networkNames(container).some(
          (network) => network === one || networkIdOf(world, container.node, network)?.startsWith(one),
        ),
      ) &&
      (codes === undefined || (container.status === 'exited' && codes.includes(container.exitCode))) &&
      any('is-task', (one) => flag(one) === (container.task !== undefined)) &&
      any('volume', () => false) &&
      any('publish', (one) => publishes(container, one)) &&
      any('expose', (one) => exposes(world, container, one)) &&
      (!before || (container !== before && container.created <= before.created)) &&
      (!since || (container !== since && container.created >= since.created))
    );
  };
}

/** `80`, `80/udp`, `8000-8080/tcp` */
function rangeOf(text: string): (port: number, protocol: string) => boolean {
  const [ports = '', wanted = 'tcp'] = text.split('/');
  const [first = 0, last = first] = ports.split('-').map(Number);
  return (port, protocol) => protocol === wanted && port >= first && port <= last;
}

function publishes({ sandbox, spec }: ContainerState, text: string): boolean {
  const isIn = rangeOf(text);
  const bound = sandbox?.publishes?.some(({ published, protocol }) => isIn(published, protocol)) ?? false;
  return bound || spec.ports.some(({ published = 0, protocol }) => isIn(published, protocol));
}

function exposes(world: World, container: ContainerState, text: string): boolean {
  const isIn = rangeOf(text);
  const own = world.configOf(container).exposes;
  return [...own, ...container.spec.ports.map(({ target, protocol }) => portOf(`${target}/${protocol}`))].some(
    ({ port, protocol }) => isIn(port, protocol),
  );
}

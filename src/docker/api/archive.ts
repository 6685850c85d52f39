/** `docker cp`: files of a container, out and in, as tar archives. A container has files while it runs. */

import type { Computer } from '../../programs/index.js';
import type { World } from '../world.js';
import { type App, bodyOf, type Engine, type Request, required, timeText } from './context.js';
import { ApiError } from './errors.js';
import { type Entry, packed, unpacked } from './tar.js';

/** Go's os.FileMode of a directory. */
const DIRECTORY = 0x80000000;

export function archiveRoutes(app: App, { world, node }: Engine): void {
  const filesOf = (c: Request) => {
    const container = world.cluster.container(required(c, 'id'), node);
    const computer = world.computerOf(container);
    if (!computer)
      throw new ApiError(
        409,
        `Container ${container.id} is not running, and swarmwire keeps files of running ones alone`,
      );
    return computer.files;
  };
  const pathOf = (c: Request) => {
    const path = c.req.query('path') ?? '';
    if (path === '') throw new ApiError(400, 'bad parameter: path cannot be empty');
    return `/${path}`.replace(/\/+/g, '/').replace(/(.)\/\.?$/, '$1');
  };

  app.on(['GET', 'HEAD'], '/containers/:id/archive', (c) => {
    const path = pathOf(c);
    const found = entriesAt(filesOf(c), path);
    if (!found) throw new ApiError(404, `Could not find the file ${path} in container ${required(c, 'id')}`);
    const [first] = found;
    const stat = {
      name: first?.name ?? '',
      size: first?.data.length ?? 0,
      mode: first?.directory ? DIRECTORY + 0o755 : 0o644,
      mtime: timeText(world.time),
      linkTarget: '',
    };
    c.header('X-Docker-Container-Path-Stat', Buffer.from(JSON.stringify(stat)).toString('base64'));
    if (c.req.method === 'HEAD') return c.body(null, 200);
    c.header('Content-Type', 'application/x-tar');
    return c.body(packed(found, secondsOf(world)));
  });

  app.put('/containers/:id/archive', async (c) => {
    const path = pathOf(c);
    const files = filesOf(c);
    if (files.list(path) === undefined)
      throw new ApiError(404, `Could not find the file ${path} in container ${required(c, 'id')}`);
    const body = await bodyOf(c);
    const entries = unpacked(body);
    if (!entries) throw new ApiError(400, 'archive/tar: invalid tar header');
    for (const { name, directory, data } of entries) {
      const target = `${path === '/' ? '' : path}/${name.replace(/^\.?\//, '')}`;
      if (target.split('/').includes('..')) throw new ApiError(400, `${name} leads out of ${path}`);
      if (directory ? files.list(target) === undefined : !files.write(target, data))
        throw new ApiError(403, `swarmwire's containers have no directories but those that are there: ${target}`);
    }
    return c.body(null, 200);
  });
}

/** A file, or a directory and what is in it; names as tar has them. */
function entriesAt(files: Computer['files'], path: string): Entry[] | undefined {
  const name = path.slice(path.lastIndexOf('/') + 1) || '/';
  const data = files.bytes(path);
  if (data) return [{ name, directory: false, data }];
  const list = files.list(path);
  if (!list) return undefined;
  const inside = list.flatMap((one): Entry[] => {
    const content = files.bytes(`${path === '/' ? '' : path}/${one}`);
    return content ? [{ name: `${name}/${one}`, directory: false, data: content }] : [];
  });
  return [{ name, directory: true, data: new Uint8Array() }, ...inside];
}

function secondsOf(world: World): number {
  return Number(world.time / 1_000_000_000n);
}

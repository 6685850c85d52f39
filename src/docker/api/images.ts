/** Images are names: a pull remembers one, and says that nothing was downloaded. */

import { stream } from 'hono/streaming';
import { digestOf, type Image, isReference, withTag } from '../images.js';
import { oneOf, readFilters, refuseUnknown } from './body.js';
import { type App, type Engine, flag, required, timeText } from './context.js';
import { ApiError } from './errors.js';
import { prunable, untilOf } from './prune.js';

export function imageRoutes(app: App, { world, node }: Engine): void {
  const older = world.topology.engine === '20.10';
  const images = () => world.imagesOn(node);
  const find = (reference: string): Image => {
    const found =
      images().get(withTag(reference)) ??
      [...images().values()].find(({ id }) => id === reference || id.slice(7).startsWith(reference));
    if (found) return found;
    throw new ApiError(404, `No such image: ${withTag(reference)}`);
  };

  app.post('/images/create', (c) => {
    const from = c.req.query('fromImage') ?? '';
    const tag = c.req.query('tag');
    const reference = tag && !tag.startsWith('sha256:') ? `${from}:${tag}` : from;
    if (!isReference(reference)) throw new ApiError(400, 'invalid reference format');
    const { image, fresh } = world.pull(node, reference);
    world.tellOf('image', 'pull', image.name, node);
    const short = image.name.slice(0, image.name.lastIndexOf(':'));
    const repository = short.includes('/') ? short : `library/${short}`;
    const lines = [
      { status: `Pulling from ${repository}`, id: image.name.slice(image.name.lastIndexOf(':') + 1) },
      { status: 'swarmwire: images are names, nothing is downloaded' },
      { status: `Digest: ${image.id}` },
      { status: `Status: ${fresh ? 'Downloaded newer image' : 'Image is up to date'} for ${image.name}` },
    ];
    c.header('Content-Type', 'application/json');
    return stream(c, async (out) => {
      for (const line of lines) await out.write(`${JSON.stringify(line)}\r\n`);
    });
  });

  app.get('/images/json', (c) => {
    const filters = readFilters(c.req.query('filters'));
    refuseUnknown(filters, ['dangling', 'label', 'before', 'since', 'reference', ...(older ? [] : ['until'])]);
    oneOf(filters, 'dangling', ['true', 'false', '1', '0']);
    const wanted = filters.get('reference');
    const at = (key: string) => filters.get(key)?.map((one) => find(one).created)[0];
    const [before, since] = [at('before'), at('since')];
    const until = untilOf(filters, world.time);
    const list = [...images().values()].filter(
      ({ name, created }) =>
        (wanted === undefined || wanted.some((one) => fits(name, one))) &&
        // All have names, and none has labels.
        !filters.get('dangling')?.some((one) => flag(one)) &&
        !filters.has('label') &&
        (before === undefined || created < before) &&
        (since === undefined || created > since) &&
        (until === undefined || created < until),
    );
    return c.json(
      list.reverse().map(({ id, name, size, created }) => ({
        Id: id,
        ParentId: '',
        RepoTags: [name],
        RepoDigests: [`${name.slice(0, name.lastIndexOf(':'))}@${id}`],
        Created: Number(created / 1_000_000_000n),
        Size: size,
        VirtualSize: size,
        SharedSize: -1,
        Labels: null,
        Containers: -1,
      })),
    );
  });

  app.get('/images/:name{.+}/json', (c) => c.json(inspect(find(required(c, 'name')), older)));
  app.get('/images/:name{.+}/history', (c) => {
    const { id, size, created } = find(required(c, 'name'));
    return c.json([
      { Id: id, Created: Number(created / 1_000_000_000n), CreatedBy: '', Tags: [], Size: size, Comment: '' },
    ]);
  });
  app.post('/images/:name{.+}/tag', (c) => {
    const image = find(required(c, 'name'));
    const name = withTag(`${c.req.query('repo') ?? ''}${c.req.query('tag') ? `:${c.req.query('tag')}` : ''}`);
    if (!isReference(name)) throw new ApiError(400, 'invalid reference format');
    images().set(name, { ...image, name });
    world.tellOf('image', 'tag', name, node, { id: image.id });
    return c.body(null, 201);
  });
  const userOf = ({ id }: Image) =>
    [...world.cluster.containers.values()].find((one) => one.node === node && world.configOf(one).image.id === id);
  app.delete('/images/:name{.+}', (c) => {
    const image = find(required(c, 'name'));
    const user = userOf(image);
    if (user && !flag(c.req.query('force')))
      throw new ApiError(
        409,
        `conflict: unable to remove repository reference "${required(c, 'name')}" (must force) - container ${user.id.slice(0, 12)} is using its referenced image ${image.id.slice(7, 19)}`,
      );
    return c.json(remove(image));
  });
  /** Its id is another thing's until the last of its names is gone. */
  const remove = ({ name, id }: Image) => {
    images().delete(name);
    world.tellOf('image', 'untag', name, node, { id });
    if ([...images().values()].some((one) => one.id === id)) return [{ Untagged: name }];
    world.tellOf('image', 'delete', id, node, { id });
    return [{ Untagged: name }, { Deleted: id }];
  };
  app.post('/images/prune', (c) => {
    const filters = readFilters(c.req.query('filters'));
    const goes = prunable(filters, world.time, ['dangling']);
    // Without `-a` only what has no name: there is no such thing here.
    const all = filters.get('dangling')?.some((one) => !flag(one)) ?? false;
    const unused = all
      ? [...images().values()].filter((image) => !userOf(image) && goes({ labels: {}, created: image.created }))
      : [];
    const size = new Map(unused.map((image) => [image.id, image.size]));
    return c.json({
      ImagesDeleted: unused.length > 0 ? unused.flatMap(remove) : null,
      SpaceReclaimed: [...size.values()].reduce((sum, one) => sum + one, 0),
    });
  });

  // `docker service create` asks for an image's digest here.
  app.get('/distribution/:name{.+}/json', (c) => {
    const name = withTag(required(c, 'name'));
    return c.json({
      Descriptor: {
        mediaType: 'application/vnd.docker.distribution.manifest.v2+json',
        digest: `sha256:${digestOf(name)}`,
        size: 528,
      },
      Platforms: [{ architecture: 'amd64', os: 'linux' }],
    });
  });
}

/** A name as Go's path.Match has it: with its tag or without. */
function fits(name: string, pattern: string): boolean {
  const expression = new RegExp(
    `^${pattern
      .replaceAll(/[.+^${}()|\\]/g, '\\$&')
      .replaceAll('*', '[^/]*')
      .replaceAll('?', '[^/]')}$`,
  );
  const repository = name.slice(0, name.lastIndexOf(':'));
  return [name, repository].some((one) => expression.test(one));
}

function inspect({ id, name, size, created, command, entrypoint, exposed, environment }: Image, older: boolean) {
  const config = {
    Hostname: '',
    Domainname: '',
    User: '',
    AttachStdin: false,
    AttachStdout: false,
    AttachStderr: false,
    Tty: false,
    OpenStdin: false,
    StdinOnce: false,
    ExposedPorts: Object.fromEntries(exposed.map((port) => [port, {}])),
    Env: environment,
    Cmd: command,
    Entrypoint: entrypoint.length > 0 ? entrypoint : null,
    Image: '',
    Volumes: null,
    WorkingDir: '',
    OnBuild: null,
    Labels: null,
  };
  return {
    Id: id,
    RepoTags: [name],
    RepoDigests: [`${name.slice(0, name.lastIndexOf(':'))}@${id}`],
    ...(older ? { Parent: '', Container: '', ContainerConfig: config, DockerVersion: '', VirtualSize: size } : {}),
    Comment: 'a name: nothing was downloaded',
    Created: timeText(created),
    Author: '',
    Config: config,
    Architecture: 'amd64',
    Os: 'linux',
    Size: size,
    GraphDriver: { Data: null, Name: 'overlay2' },
    RootFS: { Type: 'layers', Layers: [id] },
    Metadata: { LastTagTime: '0001-01-01T00:00:00Z' },
  };
}

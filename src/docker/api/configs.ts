/** Configs and secrets, which `docker stack deploy` asks for: names, and no container reads them. */

import * as v from 'valibot';
import type { World } from '../world.js';
import { hasLabels, labels, readFilters } from './body.js';
import { type App, type Engine, jsonOf, manager, required, timeText } from './context.js';
import { ApiError } from './errors.js';
import { type Spec, specOf } from './service-spec.js';

export function configRoutes(app: App, engine: Engine): void {
  for (const kind of ['secrets', 'configs'] as const) namedRoutes(app, engine, kind);
}

/** Does a service name it? */
function uses({ TaskTemplate: { ContainerSpec: spec } }: Spec, id: string): boolean {
  const named = [...(spec.Secrets ?? []), ...(spec.Configs ?? [])];
  return named.some(({ SecretID, ConfigID }) => SecretID === id || ConfigID === id);
}

interface Named {
  id: string;
  name: string;
  labels: Record<string, string>;
  created: number;
  version: number;
  data?: string;
}
const named = new WeakMap<World, Record<'secrets' | 'configs', Map<string, Named>>>();

function namedRoutes(app: App, engine: Engine, kind: 'secrets' | 'configs'): void {
  const { world } = engine;
  if (!named.has(world)) named.set(world, { secrets: new Map(), configs: new Map() });
  const all = (named.get(world) as Record<'secrets' | 'configs', Map<string, Named>>)[kind];
  const one = kind === 'secrets' ? 'secret' : 'config';
  const find = (name: string) => {
    const found =
      [...all.values()].find((entry) => entry.id === name || entry.name === name) ??
      [...all.values()].find(({ id }) => id.startsWith(name));
    if (found) return found;
    throw new ApiError(404, `${one} ${name} not found`);
  };
  const json = ({ id, name, labels: Labels, created, version, data }: Named) => ({
    ID: id,
    Version: { Index: version },
    CreatedAt: timeText(world.at(created)),
    UpdatedAt: timeText(world.at(created)),
    Spec: { Name: name, Labels, ...(kind === 'configs' && data !== undefined ? { Data: data } : {}) },
  });
  const SCHEMA = v.object({ Name: v.optional(v.string(), ''), Labels: labels, Data: v.optional(v.string()) });
  app.get(`/${kind}`, (c) => {
    manager(engine);
    const filters = readFilters(c.req.query('filters'));
    const names = filters.get('name');
    return c.json(
      [...all.values()]
        .filter(
          (entry) =>
            (names === undefined || names.some((name) => entry.name.startsWith(name))) &&
            hasLabels(entry.labels, filters.get('label') ?? []),
        )
        .map(json),
    );
  });
  app.post(`/${kind}/create`, async (c) => {
    manager(engine);
    const wish = await jsonOf(c, SCHEMA);
    if (wish.Name === '')
      throw new ApiError(400, `rpc error: code = InvalidArgument desc = ${one} name must be provided`);
    if ([...all.values()].some(({ name }) => name === wish.Name))
      throw new ApiError(409, `rpc error: code = AlreadyExists desc = ${one} ${wish.Name} already exists`);
    const id = world.newId().slice(0, 25);
    all.set(id, {
      id,
      name: wish.Name,
      labels: wish.Labels,
      created: world.engine.now,
      version: 10,
      ...(wish.Data === undefined ? {} : { data: wish.Data }),
    });
    world.tellOf(one, 'create', wish.Name, undefined, { id });
    return c.json({ ID: id }, 201);
  });
  app.get(`/${kind}/:id`, (c) => {
    manager(engine);
    return c.json(json(find(required(c, 'id'))));
  });
  app.post(`/${kind}/:id/update`, async (c) => {
    manager(engine);
    const entry = find(required(c, 'id'));
    entry.labels = (await jsonOf(c, SCHEMA)).Labels;
    entry.version++;
    return c.body(null, 200);
  });
  app.delete(`/${kind}/:id`, (c) => {
    manager(engine);
    const entry = find(required(c, 'id'));
    const users = [...world.cluster.services.values()].filter((service) => uses(specOf(world, service), entry.id));
    if (users.length > 0)
      throw new ApiError(
        400,
        `rpc error: code = InvalidArgument desc = ${one} '${entry.name}' is in use by the following service${users.length > 1 ? 's' : ''}: ${users.map(({ spec }) => spec.name).join(', ')}`,
      );
    all.delete(entry.id);
    world.tellOf(one, 'remove', entry.name, undefined, { id: entry.id });
    return c.body(null, 204);
  });
}

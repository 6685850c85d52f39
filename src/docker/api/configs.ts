/** Configs and secrets, which `docker stack deploy` asks for: names, and no container reads them. */

import * as v from 'valibot';
import type { World } from '../world.js';
import { hasLabels, labels, readFilters, readJson } from './body.js';
import { type App, bodyOf, type Engine, manager, required, timeText } from './context.js';
import { ApiError } from './errors.js';

export function configRoutes(app: App, engine: Engine): void {
  for (const kind of ['secrets', 'configs'] as const) namedRoutes(app, engine, kind);
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
  const one = kind.slice(0, -1);
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
    const wish = readJson(await bodyOf(c), SCHEMA);
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
    return c.json({ ID: id }, 201);
  });
  app.get(`/${kind}/:id`, (c) => {
    manager(engine);
    return c.json(json(find(required(c, 'id'))));
  });
  app.post(`/${kind}/:id/update`, async (c) => {
    manager(engine);
    const entry = find(required(c, 'id'));
    entry.labels = readJson(await bodyOf(c), SCHEMA).Labels;
    entry.version++;
    return c.body(null, 200);
  });
  app.delete(`/${kind}/:id`, (c) => {
    manager(engine);
    all.delete(find(required(c, 'id')).id);
    return c.body(null, 204);
  });
}

/** Volumes are names. */

import * as v from 'valibot';
import type { World } from '../world.js';
import { labels } from './body.js';
import { type App, type Engine, jsonOf, required, timeText } from './context.js';
import { ApiError } from './errors.js';

interface Volume {
  name: string;
  labels: Record<string, string>;
  created: number;
}

/** By node and name. */
const volumes = new WeakMap<World, Map<string, Volume>>();

function volumesOf(world: World): Map<string, Volume> {
  const known = volumes.get(world);
  if (known) return known;
  const made = new Map<string, Volume>();
  volumes.set(world, made);
  return made;
}

function volumeJson(world: World, { name, labels: Labels, created }: Volume) {
  return {
    Name: name,
    Driver: 'local',
    Mountpoint: `/var/lib/docker/volumes/${name}/_data`,
    CreatedAt: timeText(world.at(created)),
    Labels,
    Scope: 'local',
    Options: {},
  };
}

/** As the API tells of those of a node. */
export function volumesOn(world: World, node: string) {
  return [...volumesOf(world)]
    .filter(([key]) => key.startsWith(`${node} `))
    .map(([, volume]) => ({ ...volumeJson(world, volume), UsageData: { Size: 0, RefCount: 0 } }));
}

export function volumeRoutes(app: App, { world, node }: Engine): void {
  const all = volumesOf(world);
  const key = (name: string) => `${node} ${name}`;
  const json = (volume: Volume) => volumeJson(world, volume);
  const find = (name: string) => {
    const found = all.get(key(name));
    if (found) return found;
    throw new ApiError(404, `get ${name}: no such volume`);
  };
  app.get('/volumes', (c) => c.json({ Volumes: volumesOn(world, node), Warnings: null }));
  app.post('/volumes/create', async (c) => {
    const wish = await jsonOf(c, v.object({ Name: v.optional(v.string(), ''), Labels: labels }));
    const name = wish.Name || world.newId();
    const volume = all.get(key(name)) ?? { name, labels: wish.Labels, created: world.engine.now };
    if (!all.has(key(name))) world.tellOf('volume', 'create', name, node, { driver: 'local' });
    all.set(key(name), volume);
    return c.json(json(volume), 201);
  });
  app.get('/volumes/:name', (c) => c.json(json(find(required(c, 'name')))));
  app.delete('/volumes/:name', (c) => {
    all.delete(key(find(required(c, 'name')).name));
    return c.body(null, 204);
  });
  app.post('/volumes/prune', (c) => c.json({ VolumesDeleted: null, SpaceReclaimed: 0 }));
}

/** What a Docker Engine does and this one does not: each is refused with a word, in the API's own way. */

import type { App, Engine } from './context.js';
import { required } from './context.js';
import { ApiError } from './errors.js';

const IMAGES = 'images are names here: there is nothing in them';

const PLUGINS = 'swarmwire has no managed plugins; a network driver is given at the start (--driver)';

const REFUSED: readonly (readonly [method: string, path: string, why: string])[] = [
  ['POST', '/build', `swarmwire builds no images: ${IMAGES}`],
  ['POST', '/commit', `swarmwire commits no containers: ${IMAGES}`],
  ['GET', '/containers/:id/export', 'swarmwire exports no containers: they have but a few files (docker cp)'],
  ['GET', '/images/get', `swarmwire saves no images: ${IMAGES}`],
  ['GET', '/images/:name{.+}/get', `swarmwire saves no images: ${IMAGES}`],
  ['POST', '/images/load', `swarmwire loads no images: ${IMAGES}`],
  ['POST', '/images/:name{.+}/push', `swarmwire pushes no images: ${IMAGES}`],
  ['GET', '/images/search', 'swarmwire asks no registry: any name can be pulled'],
  ['GET', '/plugins/:any{.+}', PLUGINS],
  ['POST', '/plugins/:any{.+}', PLUGINS],
  ['DELETE', '/plugins/:any{.+}', PLUGINS],
  ['GET', '/containers/:id/checkpoints', 'swarmwire has no checkpoints'],
  ['POST', '/containers/:id/checkpoints', 'swarmwire has no checkpoints'],
  ['POST', '/session', 'swarmwire has no sessions: it builds no images'],
  ['POST', '/grpc', 'swarmwire has no sessions: it builds no images'],
];

export function refusedRoutes(app: App, { world, node }: Engine): void {
  for (const [method, path, why] of REFUSED)
    app.on(method, path, () => {
      throw new ApiError(501, why);
    });
  app.get('/plugins', (c) => c.json([]));
  // `docker diff`: which of a container's files are its own is not told.
  app.get('/containers/:id/changes', (c) => {
    world.cluster.container(required(c, 'id'), node);
    return c.json(null);
  });
}

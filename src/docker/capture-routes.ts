/** Captures of a served swarm, streamed as pcapng: `wireshark -k -i <(curl -sN http://127.0.0.1:2375/swarmwire/captures/node1/host/eth0)`. */

import { stream } from 'hono/streaming';
import { pcapngHeader } from '../capture/pcapng.js';
import { Watch } from '../capture/watch.js';
import type { App, Engine } from './api/context.js';
import { ApiError } from './api/errors.js';

const PREFIX = '/swarmwire/captures';

export function captureRoutes(app: App, { world }: Engine): void {
  const devices = () => [...world.engine.namespaces.values()].flatMap((namespace) => [...namespace.devices.values()]);

  app.get(PREFIX, (c) => c.json(devices().map(({ path, kind }) => ({ tap: path, kind }))));

  app.get(`${PREFIX}/:tap{.+}`, (c) => {
    const tap = decodeURIComponent(c.req.param('tap'));
    const device = devices().find(({ path }) => path === tap);
    if (!device) throw new ApiError(404, `there is no device ${tap}; ${PREFIX} lists them`);
    c.header('Content-Type', 'application/x-pcapng');
    return stream(c, async (out) => {
      await out.write(pcapngHeader([{ name: device.path, mtu: device.mtu }]));
      const still = world.look();
      const watch = new Watch(world.engine, [device], ({ block }) => void out.write(block.withInterface(0).bytes));
      await new Promise<void>((resolve) => out.onAbort(resolve));
      watch.stop();
      still();
    });
  });
}

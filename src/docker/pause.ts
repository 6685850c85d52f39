/**
 * `docker pause`: processes are frozen, the kernel is not (cgroup freezer). Connections come up, pings are answered, what is sent is
 * taken; nobody reads it before `docker unpause`.
 */

import type { ContainerState } from '../swarm/state.js';
import { ApiError } from './api/errors.js';
import type { World } from './world.js';

export function pause(world: World, container: ContainerState): void {
  const computer = world.computerOf(container);
  if (!computer) throw new ApiError(409, `Container ${container.id} is not running`);
  if (computer.freezer.frozen) throw new ApiError(409, `Container ${container.id} is already paused`);
  const { namespace } = computer;
  const alone = [...world.cluster.containers.values()].every(
    (other) => other === container || world.computerOf(other)?.namespace !== namespace,
  );
  if (!alone || namespace.name.endsWith('/host'))
    throw new ApiError(
      501,
      `swarmwire cannot pause ${container.name}: it shares its network namespace, and sockets are held back by namespace`,
    );
  computer.freezer.freeze();
  world.sockets.hold(namespace);
  world.tell(container, 'pause');
}

export function unpause(world: World, container: ContainerState): void {
  const computer = world.computerOf(container);
  if (!computer) throw new ApiError(409, `Container ${container.id} is not running`);
  if (!computer.freezer.frozen) throw new ApiError(409, `Container ${container.id} is not paused`);
  thaw(world, container);
  world.tell(container, 'unpause');
}

/** A signal that ends it ends the pause first. */
export function thaw(world: World, container: ContainerState): void {
  const computer = world.computerOf(container);
  if (!computer?.freezer.frozen) return;
  computer.freezer.thaw();
  world.sockets.release(computer.namespace);
}

export function isPaused(world: World, container: ContainerState): boolean {
  return world.computerOf(container)?.freezer.frozen ?? false;
}

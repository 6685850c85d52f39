/** The drivers that a swarm has: Docker's own, and those that its caller brings along (Docker's network plugins). */

import { bridge } from './bridge.js';
import type { Driver } from './driver.js';
import { host, none } from './host.js';
import { ipvlan } from './ipvlan.js';
import { macvlan } from './macvlan.js';
import { overlay } from './overlay.js';
import { weave } from './weave.js';

export {
  type Attachment,
  type Driver,
  DriverError,
  type Joined,
  type NetworkAt,
  type NodeContext,
  optionsOf,
  type Peer,
  type RelayedPort,
  type UserlandProxy,
} from './driver.js';

const BUILT_IN: readonly Driver[] = [bridge, overlay, macvlan, ipvlan, host, none, weave];

/** A driver that is not there, as dockerd says it (plugin/errors.go, errNotFound). */
export class UnknownDriver extends Error {
  override name = 'UnknownDriver';
  constructor(readonly driver: string) {
    super(`plugin "${driver}" not found`);
  }
}

export class Drivers {
  readonly #byName = new Map<string, Driver>();

  /** @throws TypeError when one of `more` is no driver, or has another's name */
  constructor(more: readonly Driver[] = []) {
    for (const driver of [...BUILT_IN, ...more]) {
      const wrong = mistakeIn(driver);
      if (wrong) throw new TypeError(wrong);
      if (this.#byName.has(driver.name)) throw new TypeError(`there are two drivers called "${driver.name}"`);
      this.#byName.set(driver.name, driver);
    }
  }

  get names(): string[] {
    return [...this.#byName.keys()];
  }

  find(name: string): Driver | undefined {
    return this.#byName.get(name);
  }

  /** Whose network of that name stands on every node (`host`, `none`). */
  withOnly(network: string): Driver | undefined {
    return [...this.#byName.values()].find(({ only }) => only?.network === network);
  }

  /** @throws UnknownDriver */
  get(name: string): Driver {
    const driver = this.#byName.get(name);
    if (driver) return driver;
    throw new UnknownDriver(name);
  }
}

const CALLS = ['createNetwork', 'deleteNetwork', 'join', 'leave'] as const;

/** A third party's driver comes as anything at all. */
function mistakeIn(driver: unknown): string | undefined {
  if (typeof driver !== 'object' || driver === null) return 'a driver is an object with a name, a scope and its calls';
  const { name, scope, ...calls } = driver as Record<string, unknown>;
  if (typeof name !== 'string' || !/^[a-zA-Z0-9][\w./:-]*$/.test(name))
    return 'a driver needs a name: letters, digits, "-", "_", "."';
  if (scope !== 'local' && scope !== 'swarm') return `driver "${name}": its scope is "local" or "swarm"`;
  const missing = CALLS.filter((call) => typeof calls[call] !== 'function' && !(call in driver));
  return missing.length === 0 ? undefined : `driver "${name}" lacks ${missing.join(', ')}`;
}

/** Versions that the engine answers with. */

import type { EngineVersion } from '../topology/daemon.js';

/** Clients speak any version between the two, and newer ones come down to the first. */
export const API_VERSION = '1.41';
export const MIN_API_VERSION = '1.24';
/** The newest that a client may ask for by name; its fields that 1.41 does not have are left alone. */
export const MAX_API_VERSION = '1.52';
/** What `docker version` shows of an engine. */
export const RELEASES: Record<EngineVersion, string> = { '20.10': '20.10.24', '28': '28.5.2' };

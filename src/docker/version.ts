/** Versions that the engine answers with. */

import type { EngineVersion } from '../topology/daemon.js';

/** Clients that are newer come down to it. */
export const API_VERSIONS: Record<EngineVersion, string> = { '20.10': '1.41', '28': '1.51' };
export const MIN_API_VERSION = '1.24';
/** The newest that a client may ask for by name; its fields that the engine's own version does not have are left alone. */
export const MAX_API_VERSION = '1.52';
/** What `docker version` shows of an engine. */
export const RELEASES: Record<EngineVersion, string> = { '20.10': '20.10.24', '28': '28.5.2' };

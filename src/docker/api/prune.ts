/** What `docker … prune --filter` lets go (moby daemon/prune.go, container/network/image prune). */

import { durationOf } from '../../stack-file/durations.js';
import { hasLabels, refuseUnknown } from './body.js';
import { moment } from './context.js';
import { ApiError } from './errors.js';

type Filters = ReadonlyMap<string, string[]>;
/** Made when: nanoseconds since 1970. */
type Made = { labels: Readonly<Record<string, string>>; created: bigint };

/** May one go, by the filters `label`, `label!` and `until`? `more`: filters that the caller reads. @throws ApiError */
export function prunable(filters: Filters, now: bigint, more: readonly string[] = []): (one: Made) => boolean {
  refuseUnknown(filters, ['label', 'label!', 'until', ...more]);
  const until = untilOf(filters, now);
  return ({ labels, created }) =>
    hasLabels(labels, filters.get('label') ?? []) &&
    !filters.get('label!')?.some((one) => hasLabels(labels, [one])) &&
    (until === undefined || created < until);
}

/** The filter `until`: a moment, or how long ago (`24h`); ns since 1970. @throws ApiError */
export function untilOf(filters: Filters, now: bigint): bigint | undefined {
  const [text, ...more] = filters.get('until') ?? [];
  if (text === undefined) return undefined;
  if (more.length > 0) throw new ApiError(400, 'more than one until filter specified');
  const ago = /[a-zµ]$/.test(text) ? durationOf(text) : undefined;
  return ago === undefined ? (moment(text) ?? 0n) : now - BigInt(ago);
}

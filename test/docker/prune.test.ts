/** What `prune` lets go, and what its filters keep. */

import { afterAll, beforeAll, expect, test } from 'vitest';
import { prunable } from '../../src/docker/api/prune.js';
import { Served } from './served.js';

let served: Served;
beforeAll(async () => {
  served = await Served.of(1);
  await served.ask('POST', '/images/create?fromImage=alpine&tag=latest');
}, 60_000);
afterAll(() => served.close());

const prune = (what: string, filters: object) =>
  served.ask('POST', `/${what}/prune?filters=${encodeURIComponent(JSON.stringify(filters))}`);

test('age and labels decide what may go', () => {
  const now = 1_700_000_000n * 1_000_000_000n;
  const hoursOld = (hours: number, labels = {}) => ({ labels, created: now - BigInt(hours * 3600) * 1_000_000_000n });
  const goes = (filters: Record<string, string[]>) => prunable(new Map(Object.entries(filters)), now);
  expect([1, 3].map((hours) => goes({ until: ['1h30m'] })(hoursOld(hours)))).toEqual([false, true]);
  expect([1, 3].map((hours) => goes({ until: [`${1_700_000_000 - 7200}`] })(hoursOld(hours)))).toEqual([false, true]);
  expect([1, 3].map((hours) => goes({ until: ['2023-11-14T20:13:20Z'] })(hoursOld(hours)))).toEqual([false, true]);
  const labels = [{}, { keep: 'yes' }, { keep: 'no' }];
  const byLabel = (filters: Record<string, string[]>) => labels.map((one) => goes(filters)(hoursOld(1, one)));
  expect(byLabel({})).toEqual([true, true, true]);
  expect(byLabel({ label: ['keep'] })).toEqual([false, true, true]);
  expect(byLabel({ label: ['keep=yes'] })).toEqual([false, true, false]);
  expect(byLabel({ 'label!': ['keep=yes'] })).toEqual([true, false, true]);
  expect(byLabel({ 'label!': ['other', 'keep'] })).toEqual([true, false, false]);
});

test('containers, networks and images that no filter keeps go', async () => {
  const made = async (name: string, labels: object) => {
    const { json } = await served.ask('POST', `/containers/create?name=${name}`, { Image: 'alpine', Labels: labels });
    return (json as { Id: string }).Id;
  };
  const plain = await made('plain', {});
  const kept = await made('kept', { keep: 'yes' });
  await served.ask('POST', '/networks/create', { Name: 'net-plain' });
  await served.ask('POST', '/networks/create', { Name: 'net-kept', Labels: { keep: 'yes' } });

  for (const [what, none] of [
    ['containers', { ContainersDeleted: null, SpaceReclaimed: 0 }],
    ['networks', { NetworksDeleted: null }],
    ['images', { ImagesDeleted: null, SpaceReclaimed: 0 }],
  ] as const)
    expect((await prune(what, { until: ['24h'], ...(what === 'images' && { dangling: ['false'] }) })).json).toEqual(
      none,
    );
  expect((await prune('containers', { 'label!': ['keep'] })).json).toMatchObject({ ContainersDeleted: [plain] });
  expect((await prune('networks', { 'label!': ['keep'] })).json).toEqual({ NetworksDeleted: ['net-plain'] });
  expect((await prune('containers', {})).json).toMatchObject({ ContainersDeleted: [kept] });
  expect((await prune('networks', {})).json).toEqual({ NetworksDeleted: ['net-kept'] });
  expect((await prune('images', { dangling: ['false'] })).json).toMatchObject({
    ImagesDeleted: [{ Untagged: 'alpine:latest' }, {}],
  });
});

test.each([
  [{ until: ['1h', '2h'] }, 'more than one until filter specified'],
  [{ name: ['a'] }, "invalid filter 'name'"],
  [{ until: ['soon'] }, 'strconv.ParseInt: parsing "soon": invalid syntax'],
])('%j is refused, and nothing goes', async (filters, message) => {
  for (const what of ['containers', 'networks', 'images']) {
    const answer = await prune(what, filters);
    expect([what, answer.status, answer.json]).toEqual([what, 400, { message }]);
  }
});

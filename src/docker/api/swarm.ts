/** The swarm and its nodes. */

import * as v from 'valibot';
import type { NodeState } from '../../swarm/state.js';
import { hostPart } from '../../topology/topology.js';
import { digestOf } from '../images.js';
import { RELEASES } from '../version.js';
import { hasLabels, labels, oneOf, readFilters, refuseUnknown } from './body.js';
import { type App, type Engine, flag, jsonOf, manager, required, timeText } from './context.js';
import { ApiError } from './errors.js';

const PORT = 2377;
const ROLES = ['manager', 'worker'] as const;
const AVAILABILITIES = ['active', 'pause', 'drain'] as const;

function addressOf({ world }: Engine, node: string): string {
  return hostPart(world.topology.nodes.find(({ name }) => name === node)?.nic.addresses[0] ?? '');
}

/** `SWMTKN-1-…-…` (swarmkit ca/config.go, GenerateJoinToken): the same ca part for both, a secret for each role. */
export function joinToken({ world }: Engine, role: 'manager' | 'worker'): string {
  const digits = (text: string, length: number) =>
    BigInt(`0x${digestOf(`${world.cluster.options.seed} ${text}`)}`)
      .toString(36)
      .padStart(length, '0')
      .slice(0, length);
  return `SWMTKN-1-${digits(`ca ${tokens.get(world) ?? 0}`, 50)}-${digits(`${role} ${tokens.get(world) ?? 0}`, 25)}`;
}
/** Times that tokens were rotated. */
const tokens = new WeakMap<object, number>();

/** What a swarm is asked to be; none of it bears on networks, so it is kept and told. */
const SPEC = {
  Name: 'default',
  Labels: {},
  Orchestration: { TaskHistoryRetentionLimit: 5 },
  Raft: {
    SnapshotInterval: 10000,
    KeepOldSnapshots: 0,
    LogEntriesForSlowFollowers: 500,
    ElectionTick: 10,
    HeartbeatTick: 1,
  },
  Dispatcher: { HeartbeatPeriod: 5_000_000_000 },
  CAConfig: { NodeCertExpiry: 7_776_000_000_000_000 },
  TaskDefaults: {},
  EncryptionConfig: { AutoLockManagers: false },
};
const specs = new WeakMap<object, object>();

export function swarmInfo(engine: Engine) {
  const { world, node } = engine;
  const state = world.cluster.node(node);
  const none = {
    NodeID: '',
    NodeAddr: '',
    LocalNodeState: 'inactive',
    ControlAvailable: false,
    Error: '',
    RemoteManagers: null,
  };
  if (!state.member) return none;
  const members = [...world.cluster.nodes.values()].filter(({ member }) => member);
  const managers = members.filter(({ role }) => role === 'manager');
  const control = state.role === 'manager';
  return {
    NodeID: state.id,
    NodeAddr: addressOf(engine, node),
    LocalNodeState: 'active',
    ControlAvailable: control,
    Error: '',
    RemoteManagers: managers.map(({ id, name }) => ({ NodeID: id, Addr: `${addressOf(engine, name)}:${PORT}` })),
    ...(control ? { Nodes: members.length, Managers: managers.length, Cluster: cluster(engine) } : {}),
  };
}

function cluster({ world }: Engine) {
  const created = timeText(world.at(0));
  return {
    ID: digestOf(`cluster ${world.cluster.options.seed}`).slice(0, 25),
    Version: { Index: 10 },
    CreatedAt: created,
    UpdatedAt: created,
    Spec: specs.get(world) ?? SPEC,
    TLSInfo: { TrustRoot: '', CertIssuerSubject: '', CertIssuerPublicKey: '' },
    RootRotationInProgress: false,
    DefaultAddrPool: ['10.0.0.0/8'],
    SubnetSize: 24,
    DataPathPort: 4789,
  };
}

export function swarmRoutes(app: App, engine: Engine): void {
  const { world, node } = engine;

  app.get('/swarm', (c) => {
    manager(engine);
    return c.json({
      ...cluster(engine),
      JoinTokens: { Worker: joinToken(engine, 'worker'), Manager: joinToken(engine, 'manager') },
    });
  });

  app.post('/swarm/init', async (c) => {
    const wish = await jsonOf(
      c,
      v.object({
        AdvertiseAddr: v.optional(v.string(), ''),
        ListenAddr: v.optional(v.string(), ''),
        DataPathAddr: v.optional(v.string(), ''),
        DataPathPort: v.optional(v.number(), 0),
        ForceNewCluster: v.optional(v.boolean(), false),
        Availability: v.optional(v.string(), ''),
      }),
    );
    if (wish.DataPathPort !== 0 && (wish.DataPathPort < 1024 || wish.DataPathPort > 49151))
      throw new ApiError(
        400,
        'rpc error: code = InvalidArgument desc = Datapath port number is not in the valid range (1024 - 49151)',
      );
    checkAddress(engine, wish.AdvertiseAddr);
    const members = [...world.cluster.nodes.values()].filter(({ member }) => member);
    // A swarm whose last manager has left is none any more: who was in it has to leave it, too.
    if (!members.some(({ role }) => role === 'manager'))
      for (const { name } of members) world.cluster.swarmLeave(name, true);
    if (world.cluster.inSwarm && !world.cluster.node(node).member)
      throw new ApiError(
        503,
        'swarmwire serves one swarm: the other nodes are in one already, join it (docker swarm join)',
      );
    specs.delete(world);
    world.cluster.swarmInit(node);
    return c.json(world.cluster.node(node).id);
  });

  app.post('/swarm/join', async (c) => {
    const wish = await jsonOf(
      c,
      v.object({
        RemoteAddrs: v.optional(v.array(v.string()), []),
        JoinToken: v.optional(v.string(), ''),
        AdvertiseAddr: v.optional(v.string(), ''),
        ListenAddr: v.optional(v.string(), ''),
        Availability: v.optional(v.string(), ''),
      }),
    );
    if (wish.RemoteAddrs.length === 0) throw new ApiError(400, 'at least 1 address to remote manager is required');
    checkAddress(engine, wish.AdvertiseAddr);
    const managers = [...world.cluster.nodes.values()].filter(({ member, role }) => member && role === 'manager');
    const reached = wish.RemoteAddrs.some((one) =>
      managers.some(({ name }) => [addressOf(engine, name), name].includes(one.replace(/:\d+$/, ''))),
    );
    if (!reached)
      throw new ApiError(
        503,
        'rpc error: code = Unavailable desc = connection error: desc = "transport: Error while dialing dial tcp ' +
          `${wish.RemoteAddrs[0]?.includes(':') ? wish.RemoteAddrs[0] : `${wish.RemoteAddrs[0]}:${PORT}`}: connect: connection refused"`,
      );
    const role = (['worker', 'manager'] as const).find((one) => joinToken(engine, one) === wish.JoinToken);
    if (!role)
      throw new ApiError(
        400,
        wish.JoinToken.startsWith('SWMTKN-')
          ? 'rpc error: code = InvalidArgument desc = A valid join token is necessary to join this cluster'
          : 'invalid join token',
      );
    world.cluster.swarmJoin(node, role);
    if (wish.Availability === 'drain' || wish.Availability === 'pause')
      world.cluster.nodeUpdate(node, { availability: wish.Availability });
    return c.body(null, 200);
  });

  app.post('/swarm/leave', (c) => {
    world.cluster.swarmLeave(node, flag(c.req.query('force')));
    return c.body(null, 200);
  });
  app.post('/swarm/update', async (c) => {
    manager(engine);
    const authority = v.looseObject({
      ForceRotate: v.optional(v.number(), 0),
      SigningCACert: v.optional(v.string(), ''),
      SigningCAKey: v.optional(v.string(), ''),
    });
    const wish = await jsonOf(c, v.looseObject({ Labels: labels, CAConfig: v.optional(authority) }));
    const { ForceRotate = 0, SigningCACert = '', SigningCAKey = '' } = wish.CAConfig ?? {};
    if (ForceRotate !== 0 || SigningCACert !== '' || SigningCAKey !== '')
      throw new ApiError(501, 'swarmwire has no certificates: there is none to rotate');
    specs.set(world, { ...SPEC, ...wish });
    if (flag(c.req.query('rotateWorkerToken')) || flag(c.req.query('rotateManagerToken')))
      tokens.set(world, (tokens.get(world) ?? 0) + 1);
    return c.body(null, 200);
  });
  app.get('/swarm/unlockkey', (c) => {
    manager(engine);
    return c.json({ UnlockKey: '' });
  });

  // --- Nodes ---

  const find = (name: string): NodeState => {
    if (name === 'self') return world.cluster.node(node);
    const all = members();
    const found = all.find((one) => one.name === name || one.id === name) ?? all.find(({ id }) => id.startsWith(name));
    if (found) return found;
    throw new ApiError(404, `node ${name} not found`);
  };
  const members = () => [...world.cluster.nodes.values()].filter(({ member, state }) => member || state === 'down');
  const json = (state: NodeState) => {
    const leader = [...world.cluster.nodes.values()].find(
      ({ member, role, lost }) => member && role === 'manager' && !lost,
    );
    const created = timeText(world.at(0));
    return {
      ID: state.id,
      Version: { Index: 20 },
      CreatedAt: created,
      UpdatedAt: created,
      Spec: { Labels: state.spec.labels ?? {}, Role: state.role, Availability: state.availability },
      Description: {
        Hostname: state.name,
        Platform: { Architecture: 'x86_64', OS: 'linux' },
        Resources: { NanoCPUs: 1_000_000_000, MemoryBytes: 2_147_483_648 },
        Engine: {
          EngineVersion: RELEASES[world.topology.engine],
          Plugins: ['bridge', 'host', 'ipvlan', 'macvlan', 'null', 'overlay'].map((Name) => ({
            Type: 'Network',
            Name,
          })),
        },
        TLSInfo: { TrustRoot: '', CertIssuerSubject: '', CertIssuerPublicKey: '' },
      },
      Status: {
        State: state.state === 'ready' ? 'ready' : state.state,
        Addr: addressOf(engine, state.name),
        ...(state.state === 'down' ? { Message: 'heartbeat failure' } : {}),
      },
      ...(state.role === 'manager'
        ? {
            ManagerStatus: {
              ...(leader === state ? { Leader: true } : {}),
              Reachability: state.lost || !state.member ? 'unreachable' : 'reachable',
              Addr: `${addressOf(engine, state.name)}:${PORT}`,
            },
          }
        : {}),
    };
  };

  app.get('/nodes', (c) => {
    manager(engine);
    const filters = readFilters(c.req.query('filters'));
    refuseUnknown(filters, ['id', 'name', 'role', 'membership', 'label', 'node.label']);
    oneOf(filters, 'role', ROLES);
    oneOf(filters, 'membership', ['accepted', 'pending']);
    const any = (key: string, test: (value: string) => boolean) => {
      const wanted = filters.get(key);
      return wanted === undefined || wanted.length === 0 || wanted.some(test);
    };
    const list = members().filter(
      (state) =>
        any('id', (one) => state.id.startsWith(one)) &&
        any('name', (one) => state.name.startsWith(one)) &&
        any('role', (one) => state.role === one) &&
        any('membership', (one) => one === 'accepted') &&
        hasLabels(state.spec.labels ?? {}, filters.get('node.label') ?? []),
    );
    return c.json(list.map(json));
  });
  app.get('/nodes/:id', (c) => {
    manager(engine);
    return c.json(json(find(required(c, 'id'))));
  });
  app.post('/nodes/:id/update', async (c) => {
    manager(engine);
    const wish = await jsonOf(
      c,
      v.object({
        Labels: labels,
        Role: v.optional(v.string(), ''),
        Availability: v.optional(v.string(), ''),
      }),
    );
    const role = ROLES.find((one) => one === wish.Role.toLowerCase());
    if (wish.Role !== '' && !role) throw new ApiError(400, `invalid Role: "${wish.Role}"`);
    const availability = AVAILABILITIES.find((one) => one === wish.Availability.toLowerCase());
    if (wish.Availability !== '' && !availability)
      throw new ApiError(400, `invalid Availability: "${wish.Availability}"`);
    const state = find(required(c, 'id'));
    const managers = members().filter(({ role }) => role === 'manager');
    if (role === 'worker' && state.role === 'manager' && managers.length === 1)
      throw new ApiError(
        400,
        'rpc error: code = FailedPrecondition desc = attempting to demote the last manager of the swarm',
      );
    world.cluster.nodeUpdate(state.name, {
      labels: wish.Labels,
      ...(role && role !== state.role ? { role } : {}),
      ...(availability && availability !== state.availability ? { availability } : {}),
    });
    return c.body(null, 200);
  });
  app.delete('/nodes/:id', (c) => {
    manager(engine);
    const state = find(required(c, 'id'));
    if (state.member && state.state !== 'down' && !flag(c.req.query('force')))
      throw new ApiError(
        400,
        `rpc error: code = FailedPrecondition desc = node ${state.id} is not down and can't be removed`,
      );
    world.cluster.nodeRemove(state.name);
    return c.body(null, 200);
  });
}

/** `eth0`, an address of this node's, with a port perhaps. */
function checkAddress(engine: Engine, text: string): void {
  if (text === '') return;
  const nic = engine.world.topology.nodes.find(({ name }) => name === engine.node)?.nic;
  const bare = text.replace(/:\d+$/, '');
  if (bare === nic?.name || nic?.addresses.some((one) => hostPart(one) === bare)) return;
  throw new ApiError(
    400,
    /^[\d.]+$/.test(bare)
      ? `must specify a listening address because the address to advertise is not recognized as a system address, and a system's IP address to use could not be uniquely identified`
      : `advertise address must be a non-zero IP address or network interface (with optional port number)`,
  );
}

/** Networks: made, listed, inspected, joined, left, removed. */

import * as v from 'valibot';
import type { NetworkSpec, PoolSpec } from '../../topology/spec.js';
import { hostPart, type Network } from '../../topology/topology.js';
import { expression, hasLabels, labels, oneOf, readFilters, refuseUnknown } from './body.js';
import { checkConfig, configJson, configNotes } from './config-networks.js';
import { endpointId, networkIdOf, networkNames } from './container-json.js';
import { attachmentOf, ENDPOINT_SETTINGS } from './container-spec.js';
import { type App, type Engine, flag, jsonOf, manager, required, timeText } from './context.js';
import { ApiError } from './errors.js';
import { prunable } from './prune.js';

const CREATE = v.object({
  Name: v.optional(v.string(), ''),
  Driver: v.optional(v.string(), 'bridge'),
  Scope: v.optional(v.string(), ''),
  Internal: v.optional(v.boolean(), false),
  Attachable: v.optional(v.boolean(), false),
  Ingress: v.optional(v.boolean(), false),
  EnableIPv6: v.optional(v.boolean(), false),
  ConfigOnly: v.optional(v.boolean(), false),
  ConfigFrom: v.optional(v.nullable(v.object({ Network: v.optional(v.string(), '') })), null),
  Options: labels,
  Labels: labels,
  IPAM: v.optional(
    v.object({
      Driver: v.optional(v.string(), 'default'),
      Options: labels,
      Config: v.optional(
        v.array(
          v.object({
            Subnet: v.optional(v.string(), ''),
            Gateway: v.optional(v.string(), ''),
            IPRange: v.optional(v.string(), ''),
            AuxiliaryAddresses: labels,
          }),
        ),
        [],
      ),
    }),
    () => ({ Driver: 'default', Options: {}, Config: [] }),
  ),
});

/** What of a network is nobody's business but a client's. */
export interface NetworkNotes {
  labels: Record<string, string>;
  created: number;
  /** Of a local network that was asked for: `{}` where the client sends nothing. */
  ipamOptions?: Record<string, string>;
}
export const notes = new WeakMap<Network, NetworkNotes>();

const FILTERS = ['name', 'id', 'driver', 'label', 'scope', 'type', 'dangling'];
/** host and none are there on every node, and nothing of them is anywhere else. */
const NULL_NETWORKS = ['host', 'none'];

export function networkRoutes(app: App, engine: Engine): void {
  const { world, node } = engine;
  const { cluster } = world;
  const here = () =>
    cluster.topology.networks.filter(
      (network) =>
        network.onNode[node] || (scopeOf(network) === 'swarm' && (network.ingress ? isMember() : isManager())),
    );
  const isMember = () => cluster.node(node).member;
  const isManager = () => isMember() && cluster.node(node).role === 'manager';
  const scopeOf = ({ driver, scope }: Network) => scope ?? cluster.options.drivers.get(driver).scope;
  const configOf = (name: string) => cluster.configNetworks.find(name, node);

  const find = (name: string): Network | undefined => {
    const all = here();
    return (
      all.find((one) => one.id === name) ??
      all.find((one) => one.name === name && one.onNode[node]) ??
      all.find((one) => one.name === name) ??
      all.find((one) => one.id.startsWith(name))
    );
  };

  const json = (network: Network, verbose: boolean) => {
    const on = network.onNode[node] ?? Object.values(network.onNode)[0];
    const spec = cluster.networkSpecs.get(network);
    const pool = spec?.configFrom === undefined ? spec : configOf(spec.configFrom)?.spec;
    const note = notes.get(network);
    const subnet = on?.subnet ?? spec?.subnet;
    const containers = verbose
      ? Object.fromEntries(
          [...cluster.attachments.on(network)]
            .filter((sandbox) => sandbox.node === node)
            .flatMap((sandbox) =>
              sandbox.endpoints
                .filter((endpoint) => endpoint.network === network.name)
                .map((endpoint) => {
                  const balancer = sandbox.kind === 'balancer';
                  const ingress = sandbox.name === 'ingress_sbox';
                  const key = balancer
                    ? ingress
                      ? 'ingress-sbox'
                      : `lb-${network.name}`
                    : (sandbox.id ?? sandbox.name);
                  const label = balancer
                    ? network.name === 'docker_gwbridge'
                      ? 'gateway_ingress-sbox'
                      : `${network.name}-endpoint`
                    : network.name === 'docker_gwbridge'
                      ? `gateway_${(sandbox.id ?? '').slice(0, 12)}`
                      : (sandbox.container ?? sandbox.name);
                  return [
                    key,
                    {
                      Name: label,
                      EndpointID:
                        sandbox.id === undefined
                          ? endpointId({ id: `${node} ${network.id}` }, sandbox.name)
                          : endpointId({ id: sandbox.id }, network.name),
                      MacAddress: endpoint.mac,
                      IPv4Address: endpoint.address,
                      IPv6Address: endpoint.address6 ?? '',
                    },
                  ] as const;
                }),
            ),
        )
      : {};
    const config =
      spec?.subnet || on
        ? [
            {
              Subnet: subnet ?? '',
              ...(pool?.ipRange ? { IPRange: pool.ipRange } : {}),
              ...(on?.gateway || spec?.gateway ? { Gateway: on?.gateway || spec?.gateway } : {}),
              ...(pool?.auxAddresses ? { AuxiliaryAddresses: pool.auxAddresses } : {}),
            },
            ...(on?.further ?? spec?.furtherPools ?? []).map(({ subnet: Subnet, gateway }) => ({
              Subnet,
              ...(gateway ? { Gateway: gateway } : {}),
            })),
            ...(on?.subnet6 ? [{ Subnet: on.subnet6, Gateway: on.gateway6 }] : []),
          ]
        : [];
    return {
      Name: network.name,
      Id: network.id,
      Created: timeText(world.at(note?.created ?? 0)),
      Scope: scopeOf(network),
      Driver: network.driver,
      ...(world.topology.engine === '20.10' ? {} : { EnableIPv4: true }),
      EnableIPv6: network.ipv6 ?? false,
      IPAM: { Driver: 'default', Options: note?.ipamOptions ?? null, Config: config },
      Internal: network.internal ?? false,
      Attachable: spec?.attachable ?? false,
      Ingress: network.ingress,
      ConfigFrom: { Network: spec?.configFrom ?? '' },
      ConfigOnly: false,
      Containers: containers,
      Options: optionsOf(network),
      Labels: note?.labels ?? {},
      ...(verbose && scopeOf(network) === 'swarm' && network.onNode[node]
        ? {
            Peers: Object.keys(network.onNode).map((name) => ({
              Name: cluster.node(name).id.slice(0, 12),
              IP: hostPart(cluster.topology.nodes.find((one) => one.name === name)?.nic.addresses[0] ?? ''),
            })),
          }
        : {}),
    };
  };
  const isInUse = (network: Network) =>
    [...cluster.attachments.on(network)].some(({ kind }) => kind !== 'balancer') ||
    [...cluster.services.values()].some(({ spec }) => spec.networks.some(({ name }) => name === network.name));
  const nullNamed = (name: string) =>
    NULL_NETWORKS.find((one) => one === name || (name !== '' && networkIdOf(world, node, one)?.startsWith(name)));
  const nullJson = (name: string, verbose: boolean) => ({
    Name: name,
    Id: networkIdOf(world, node, name) ?? '',
    Created: timeText(world.at(0)),
    Scope: 'local',
    Driver: name === 'none' ? 'null' : name,
    ...(world.topology.engine === '20.10' ? {} : { EnableIPv4: true }),
    EnableIPv6: false,
    IPAM: { Driver: 'default', Options: null, Config: [] },
    Internal: false,
    Attachable: false,
    Ingress: false,
    ConfigFrom: { Network: '' },
    ConfigOnly: false,
    Containers: verbose ? containersOn(name) : {},
    Options: {},
    Labels: {},
  });
  /** Of a network that gives no addresses. */
  const containersOn = (name: string) =>
    Object.fromEntries(
      [...cluster.containers.values()]
        .filter((one) => one.node === node && one.sandbox && networkNames(one).includes(name))
        .map((one) => [
          one.id,
          { Name: one.name, EndpointID: endpointId(one, name), MacAddress: '', IPv4Address: '', IPv6Address: '' },
        ]),
    );

  app.get('/networks', (c) => {
    const filters = readFilters(c.req.query('filters'));
    refuseUnknown(filters, FILTERS);
    const all = [
      ...here().map((network) => json(network, false)),
      ...cluster.configNetworks.on(node).map((config) => configJson(world, config)),
      ...NULL_NETWORKS.filter((name) => !here().some((one) => one.name === name)).map((name) => nullJson(name, false)),
    ];
    const any = (key: string, test: (value: string) => boolean) => {
      const wanted = filters.get(key);
      return wanted === undefined || wanted.length === 0 || wanted.some(test);
    };
    oneOf(filters, 'type', ['custom', 'builtin']);
    oneOf(filters, 'dangling', ['true', 'false', '1', '0']);
    const predefined = new Set(['bridge', 'host', 'none']);
    const isDangling = (name: string) =>
      !predefined.has(name) && !cluster.topology.networks.some((one) => one.name === name && isInUse(one));
    const list = all.filter(
      ({ Name, Id, Driver, Scope, Labels }) =>
        any('name', (one) => expression(one).test(Name)) &&
        any('id', (one) => Id.startsWith(one)) &&
        any('driver', (one) => Driver === one) &&
        any('scope', (one) => Scope === one) &&
        any('type', (one) => (one === 'custom') !== predefined.has(Name)) &&
        any('dangling', (one) => flag(one) === isDangling(Name)) &&
        hasLabels(Labels, filters.get('label') ?? []),
    );
    return c.json(list.sort((a, b) => (a.Name < b.Name ? -1 : 1)));
  });

  app.get('/networks/:id', (c) => {
    const name = required(c, 'id');
    const scope = c.req.query('scope');
    const found = find(name);
    if (found && (!scope || scopeOf(found) === scope || (found.name === 'bridge' && isManager())))
      return c.json(json(found, true));
    const config = configOf(name);
    if (config && (!scope || scope === 'local')) return c.json(configJson(world, config));
    const nothing = nullNamed(name);
    // A service's `--network host` is looked for among the swarm's (swarmkit PredefinedNetworks).
    const services = nothing === 'host' && scope === 'swarm' && isManager();
    if (nothing && (!scope || scope === 'local' || services)) return c.json(nullJson(nothing, true));
    throw new ApiError(404, `network ${name} not found`);
  });

  app.post('/networks/create', async (c) => {
    const create = await jsonOf(c, CREATE);
    if (create.Name === '') throw new ApiError(400, 'network name is required');
    if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(create.Name))
      throw new ApiError(400, `invalid network name: ${create.Name}`);
    const configFrom = create.ConfigFrom?.Network ?? '';
    const driver = create.Driver === '' ? 'bridge' : create.Driver;
    if (NULL_NETWORKS.includes(create.Name) || create.Name === 'bridge')
      throw new ApiError(403, `operation is not permitted on predefined ${create.Name} network`);
    const swarms = cluster.options.drivers.get(driver).scope === 'swarm';
    const swarm = (swarms || create.Scope === 'swarm') && !create.ConfigOnly;
    checkConfig({
      configOnly: create.ConfigOnly,
      configFrom,
      operated: create.Internal || create.Attachable || create.Ingress || create.Scope !== '',
      configured: create.EnableIPv6 || create.IPAM.Config.length > 0 || Object.keys(create.Labels).length > 0,
      options: create.Options,
    });
    if (swarm) manager(engine);
    const given = create.IPAM.Config.filter((one) => one.Subnet !== '' || one.Gateway !== '' || one.IPRange !== '');
    const four = given.filter(({ Subnet, Gateway }) => !Subnet.includes(':') && !Gateway.includes(':'));
    const six = create.IPAM.Config.find(({ Subnet }) => Subnet.includes(':'));
    const [first] = four;
    const vni = create.Options['com.docker.network.driver.overlay.vxlanid_list'];
    const spec: NetworkSpec = {
      name: create.Name,
      driver,
      ...(first ? poolOf(first) : {}),
      ...(four.length > 1 ? { furtherPools: four.slice(1).map(poolOf) } : {}),
      ...(create.EnableIPv6 ? { ipv6: true } : {}),
      ...(six?.Subnet ? { subnet6: six.Subnet } : {}),
      ...(six?.Gateway ? { gateway6: six.Gateway } : {}),
      ...(swarm && !swarms ? { scope: 'swarm' as const } : {}),
      ...(configFrom ? { configFrom } : {}),
      ...(vni ? { vni: Number(vni.split(',')[0]) } : {}),
      ...(create.Ingress ? { ingress: true } : {}),
      ...(create.Internal ? { internal: true } : {}),
      ...(swarm ? { attachable: create.Attachable } : {}),
      ...(Object.keys(create.Options).length > 0 ? { options: create.Options } : {}),
    };
    const note = { labels: create.Labels, created: world.engine.now };
    if (create.ConfigOnly) {
      const config = cluster.configCreate(spec, node);
      configNotes.set(config, { ...note, ipamOptions: create.IPAM.Options });
      return c.json({ Id: config.id, Warning: '' }, 201);
    }
    const network = cluster.networkCreate(spec, swarm ? [] : node);
    notes.set(network, { ...note, ...(swarm ? {} : { ipamOptions: create.IPAM.Options }) });
    return c.json({ Id: network.id, Warning: '' }, 201);
  });

  app.delete('/networks/:id', async (c) => {
    const name = required(c, 'id');
    if (nullNamed(name)) throw new ApiError(403, `${nullNamed(name)} is a pre-defined network and cannot be removed`);
    const network = find(name);
    const config = network ? undefined : configOf(name);
    if (config) {
      cluster.configRemove(config);
      return c.body(null, 204);
    }
    if (!network) throw new ApiError(404, `network ${name} not found`);
    if (scopeOf(network) === 'swarm') manager(engine);
    // Tasks of a service that was removed just now are still on their way out.
    const leaving = () => [...cluster.attachments.on(network)].filter(({ kind }) => kind !== 'balancer');
    const going = ({ service }: { service?: string }) => service !== undefined && !cluster.services.has(service);
    if (leaving().length > 0 && leaving().every(going)) await world.until(() => !leaving().some(going));
    cluster.networkRemove(network.id, node);
    return c.body(null, 204);
  });

  app.post('/networks/:id/connect', async (c) => {
    const wish = await jsonOf(c, v.object({ Container: v.string(), EndpointConfig: v.optional(ENDPOINT_SETTINGS) }));
    const network = find(required(c, 'id'));
    const name = required(c, 'id');
    // A worker does not see the swarm's networks before one of its containers is on them, but it may join them.
    const attachable = network ?? cluster.attachments.find(name, node);
    const bare = nullNamed(name);
    if (!attachable && !bare) throw new ApiError(404, `network ${name} not found`);
    const { name: _, ...attachment } = attachmentOf(attachable?.name ?? name, wish.EndpointConfig);
    cluster.networkConnect(attachable?.id ?? bare ?? name, cluster.container(wish.Container, node), attachment);
    return c.body(null, 200);
  });

  app.post('/networks/:id/disconnect', async (c) => {
    const wish = await jsonOf(c, v.object({ Container: v.string(), Force: v.optional(v.boolean(), false) }));
    const network = find(required(c, 'id'));
    const bare = nullNamed(required(c, 'id'));
    if (!network && !bare) throw new ApiError(404, `network ${required(c, 'id')} not found`);
    cluster.networkDisconnect(network?.id ?? bare ?? '', cluster.container(wish.Container, node));
    return c.body(null, 200);
  });

  app.post('/networks/prune', (c) => {
    const goes = prunable(readFilters(c.req.query('filters')), world.time);
    const kept = new Set(['bridge', 'docker_gwbridge', ...NULL_NETWORKS]);
    const unused = here().filter(
      (network) =>
        !kept.has(network.name) &&
        !network.ingress &&
        !isInUse(network) &&
        goes({ labels: notes.get(network)?.labels ?? {}, created: world.at(notes.get(network)?.created ?? 0) }) &&
        (scopeOf(network) === 'local' || isManager()),
    );
    for (const network of unused) cluster.networkRemove(network.id, node);
    return c.json({ NetworksDeleted: unused.length > 0 ? unused.map(({ name }) => name) : null });
  });
}

type Ipam = v.InferOutput<typeof CREATE>['IPAM']['Config'][number];

function poolOf({ Subnet, Gateway, IPRange, AuxiliaryAddresses }: Ipam): Partial<PoolSpec> & { subnet: string } {
  if (Subnet === '') throw new ApiError(400, 'invalid network config: a gateway or range needs its subnet');
  return {
    subnet: Subnet,
    ...(Gateway ? { gateway: Gateway } : {}),
    ...(IPRange ? { ipRange: IPRange } : {}),
    ...(Object.keys(AuxiliaryAddresses).length > 0 ? { auxAddresses: AuxiliaryAddresses } : {}),
  };
}

/** Bridges tell their defaults; of others what was asked for, and an overlay its VNI. */
function optionsOf(network: Network): Record<string, string> {
  const own = network.options ?? {};
  if (network.name === 'bridge') {
    return {
      'com.docker.network.bridge.default_bridge': 'true',
      'com.docker.network.bridge.enable_icc': String(network.icc),
      'com.docker.network.bridge.enable_ip_masquerade': String(network.masquerade),
      'com.docker.network.bridge.host_binding_ipv4': '0.0.0.0',
      'com.docker.network.bridge.name': 'docker0',
      'com.docker.network.driver.mtu': String(network.mtu),
    };
  }
  if (network.name === 'docker_gwbridge') {
    return {
      'com.docker.network.bridge.enable_icc': String(network.icc),
      'com.docker.network.bridge.enable_ip_masquerade': String(network.masquerade),
      'com.docker.network.bridge.name': 'docker_gwbridge',
      ...own,
    };
  }
  if (network.vni !== undefined)
    return { 'com.docker.network.driver.overlay.vxlanid_list': String(network.vni), ...own };
  return own;
}

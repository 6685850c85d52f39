/** `POST /containers/create`, read: what concerns the network goes to the cluster, the rest to the container's process. */

import * as v from 'valibot';
import { restartOf } from '../../swarm/restart.js';
import type { AttachmentSpec, ContainerPortSpec, ContainerRestart, ContainerSpec } from '../../topology/spec.js';
import { type ContainerConfig, environmentOf, portOf } from '../container-config.js';
import type { HealthCheck } from '../health.js';
import type { Image } from '../images.js';
import { labels, strings, words } from './body.js';
import { ApiError } from './errors.js';

export const ENDPOINT_SETTINGS = v.object({
  Aliases: strings,
  Links: strings,
  IPAMConfig: v.optional(
    v.object({
      IPv4Address: v.optional(v.string(), ''),
      IPv6Address: v.optional(v.string(), ''),
      LinkLocalIPs: strings,
    }),
  ),
  MacAddress: v.optional(v.string(), ''),
  DriverOpts: labels,
});

export const HEALTHCHECK = v.object({
  Test: strings,
  Interval: v.optional(v.number(), 0),
  Timeout: v.optional(v.number(), 0),
  Retries: v.optional(v.number(), 0),
  StartPeriod: v.optional(v.number(), 0),
});

/** Undefined: there is none, or `NONE`. */
export function healthCheckOf(given: v.InferOutput<typeof HEALTHCHECK> | undefined): HealthCheck | undefined {
  if (!given || given.Test.length < 2) return undefined;
  const { Test: test, Interval: interval, Timeout: timeout, Retries: retries, StartPeriod: startPeriod } = given;
  return { test, interval, timeout, retries, startPeriod };
}

export const CREATE = v.object({
  Image: v.optional(v.string(), ''),
  Hostname: v.optional(v.string(), ''),
  Domainname: v.optional(v.string(), ''),
  Tty: v.optional(v.boolean(), false),
  OpenStdin: v.optional(v.boolean(), false),
  StdinOnce: v.optional(v.boolean(), false),
  AttachStdout: v.optional(v.boolean(), false),
  Env: strings,
  Cmd: words,
  Entrypoint: words,
  Labels: labels,
  ExposedPorts: v.optional(v.record(v.string(), v.unknown()), {}),
  Healthcheck: v.optional(HEALTHCHECK),
  MacAddress: v.optional(v.string(), ''),
  HostConfig: v.optional(
    v.object({
      NetworkMode: v.optional(v.string(), 'default'),
      PortBindings: v.optional(
        v.record(
          v.string(),
          v.optional(
            v.array(v.object({ HostIp: v.optional(v.string(), ''), HostPort: v.optional(v.string(), '') })),
            [],
          ),
        ),
        {},
      ),
      PublishAllPorts: v.optional(v.boolean(), false),
      AutoRemove: v.optional(v.boolean(), false),
      Links: strings,
      Dns: strings,
      DnsSearch: strings,
      DnsOptions: strings,
      ExtraHosts: strings,
      Sysctls: labels,
      RestartPolicy: v.optional(
        v.object({ Name: v.optional(v.string(), ''), MaximumRetryCount: v.optional(v.number(), 0) }),
      ),
    }),
    () => ({
      NetworkMode: 'default',
      PortBindings: {},
      PublishAllPorts: false,
      AutoRemove: false,
      Links: [],
      Dns: [],
      DnsSearch: [],
      DnsOptions: [],
      ExtraHosts: [],
      Sysctls: {},
    }),
  ),
  NetworkingConfig: v.optional(
    v.object({ EndpointsConfig: v.optional(v.record(v.string(), v.optional(ENDPOINT_SETTINGS)), {}) }),
    () => ({ EndpointsConfig: {} }),
  ),
});
export type Create = v.InferOutput<typeof CREATE>;

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;

/** `what` stands before the complaint. */
export function checkName(name: string, what = ''): void {
  if (!NAME.test(name))
    throw new ApiError(400, `${what}Invalid container name (${name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`);
}

export function attachmentOf(
  name: string,
  settings: v.InferOutput<typeof ENDPOINT_SETTINGS> | undefined,
): AttachmentSpec {
  const { IPv4Address: address, IPv6Address: address6, LinkLocalIPs: linkLocal = [] } = settings?.IPAMConfig ?? {};
  return {
    name,
    aliases: settings?.Aliases ?? [],
    ...(address ? { address } : {}),
    ...(address6 ? { address6 } : {}),
    ...(linkLocal.length > 0 ? { linkLocal } : {}),
    ...(settings?.MacAddress ? { mac: settings.MacAddress } : {}),
  };
}

export function specOf(create: Create, image: Image, name: string, node: string): ContainerSpec {
  const { HostConfig: host, NetworkingConfig: networking } = create;
  const mode = host.NetworkMode === '' ? 'default' : host.NetworkMode;
  const first = mode === 'default' ? 'bridge' : mode;
  const other = /^container(?::(.*))?$/s.exec(first);
  const configured = networking.EndpointsConfig;
  const ownConfig = configured[mode] ?? configured[first];
  const networks: AttachmentSpec[] = [
    { ...attachmentOf(first, ownConfig), ...(create.MacAddress ? { mac: create.MacAddress } : {}) },
    ...Object.entries(configured)
      .filter(([one]) => one !== mode && one !== first)
      .map(([one, settings]) => attachmentOf(one, settings)),
  ];
  const links = [...host.Links, ...(ownConfig?.Links ?? [])].map((text) => {
    const [container = '', alias = container] = text.replace(/^\//, '').split(':');
    return { container, alias: alias.split('/').pop() ?? alias };
  });
  return {
    name,
    node,
    image: create.Image,
    networks,
    ...(other ? { sharesWith: other[1] ?? '' } : {}),
    ports: portsOf(create, image),
    exposes: Object.keys(create.ExposedPorts).map(portOf),
    links,
    restart: restartIn(create),
    ...(Object.keys(host.Sysctls).length > 0 ? { sysctls: host.Sysctls } : {}),
    ...(create.Hostname ? { hostname: create.Hostname } : {}),
    ...(create.Domainname ? { domainname: create.Domainname } : {}),
    dns: { servers: host.Dns, search: host.DnsSearch, options: host.DnsOptions },
    ...(host.ExtraHosts.length > 0 ? { extraHosts: host.ExtraHosts.map(extraHost) } : {}),
  };
}

/** @throws DockerError, ApiError */
function restartIn({ HostConfig: { RestartPolicy: policy, AutoRemove } }: Create): ContainerRestart {
  const restart = restartOf(policy?.Name ?? '', policy?.MaximumRetryCount ?? 0);
  if (AutoRemove && restart.name !== 'no')
    throw new ApiError(400, "can't create 'AutoRemove' container with restart policy");
  return restart;
}

/** `NAME:ADDRESS` */
function extraHost(text: string): { address: string; names: string[] } {
  const at = text.indexOf(':');
  if (at < 1 || at === text.length - 1) throw new ApiError(400, `bad format for add-host: "${text}"`);
  return { address: text.slice(at + 1), names: [text.slice(0, at)] };
}

function portsOf(
  { HostConfig: { PortBindings, PublishAllPorts }, ExposedPorts }: Create,
  { exposed }: Image,
): ContainerPortSpec[] {
  const bound = Object.entries(PortBindings).flatMap(([target, bindings]) =>
    (bindings.length > 0 ? bindings : [{ HostIp: '', HostPort: '' }]).map(({ HostIp, HostPort }): ContainerPortSpec => {
      const { port, protocol } = portOf(target);
      if (!Number.isInteger(port) || port < 1 || port > 65535)
        throw new ApiError(400, `invalid port specification: "${target}"`);
      const [first, last] = HostPort.split('-').map(Number);
      if (HostPort !== '' && (first === undefined || Number.isNaN(first) || first < 0 || first > 65535))
        throw new ApiError(400, `invalid port specification: "${HostPort}"`);
      return {
        target: port,
        protocol,
        ...(first ? { published: first } : {}),
        ...(last ? { publishedLast: last } : {}),
        ...(HostIp ? { hostAddress: HostIp } : {}),
      };
    }),
  );
  if (!PublishAllPorts) return bound;
  const more = [...new Set([...exposed, ...Object.keys(ExposedPorts)])]
    .map(portOf)
    .filter(({ port, protocol }) => !bound.some((one) => one.target === port && one.protocol === protocol));
  return [...bound, ...more.map(({ port: target, protocol }) => ({ target, protocol }))];
}

export function configFrom(create: Create, image: Image): ContainerConfig {
  const { HostConfig: host } = create;
  const given = create.Entrypoint?.filter((word) => word !== '') ?? [];
  const entrypoint = create.Entrypoint === undefined ? image.entrypoint : given;
  // An entry point of one's own takes the image's command away.
  const command =
    create.Cmd && create.Cmd.length > 0
      ? create.Cmd
      : create.Entrypoint === undefined || given.length === 0
        ? image.command
        : [];
  const healthCheck = healthCheckOf(create.Healthcheck);
  return {
    ...(healthCheck ? { healthCheck } : {}),
    image,
    reference: create.Image,
    entrypoint,
    command,
    environment: environmentOf([...image.environment, ...create.Env]),
    hostname: create.Hostname,
    tty: create.Tty,
    openStdin: create.OpenStdin,
    stdinOnce: create.StdinOnce,
    attachStdout: create.AttachStdout,
    autoRemove: host.AutoRemove,
    labels: create.Labels,
    exposes: [...image.exposed.map(portOf), ...Object.keys(create.ExposedPorts).map(portOf)],
    networkMode: host.NetworkMode,
  };
}

/**
 * Which options go together with a container's way of being on the network (moby runconfig/hostconfig.go, validateNetContainerMode;
 * runconfig/errors.go; daemon/container_operations.go, updateNetworkConfig and validateNetworkingConfig).
 */

import type { Drivers } from '../drivers/index.js';
import type { AttachmentSpec, ContainerSpec, NetworkSpec } from '../topology/spec.js';
import { DockerError } from './errors.js';

const HOST_NETWORK = 'container cannot be disconnected from host network or connected to host network';
const SHARED_NETWORK =
  'container sharing network namespace with another container or host cannot be connected to any other network';
const NO_NETWORK = 'container cannot be connected to multiple networks with one of the networks in private (none) mode';

/** Networks of every node that nobody has made. */
export const PREDEFINED: ReadonlySet<string> = new Set(['bridge', 'host', 'none']);

function refuse(message: string): never {
  throw new DockerError(400, message);
}

/** Before the container is made. @throws DockerError */
export function checkMode({
  sharesWith,
  networks,
  hostname,
  links,
  dns,
  extraHosts,
  ports,
  exposes,
}: ContainerSpec): void {
  const [first] = networks;
  const ofOther = sharesWith !== undefined;
  const ofNode = !ofOther && first?.name === 'host';
  const undefinedBehaviour = "can't be used with links. This would result in undefined behavior";
  if (sharesWith === '') refuse('Invalid network mode: invalid container format container:<name|id>');
  if (ofOther && hostname !== undefined) refuse('conflicting options: hostname and the network mode');
  if (ofNode && links.length > 0) refuse(`conflicting options: host type networking ${undefinedBehaviour}`);
  if (!ofOther) {
    if (ofNode && first?.mac !== undefined) refuse('conflicting options: mac-address and the network mode');
    return;
  }
  if (links.length > 0) refuse(`conflicting options: container type network ${undefinedBehaviour}`);
  if ((dns?.servers ?? []).length > 0) refuse('conflicting options: dns and the network mode');
  if ((extraHosts ?? []).length > 0) refuse('conflicting options: custom host-to-IP mapping and the network mode');
  if (first?.mac !== undefined) refuse('conflicting options: mac-address and the network mode');
  if (ports.length > 0) refuse('conflicting options: port publishing and the container type network mode');
  if (exposes.length > 0) refuse('conflicting options: port exposing and the container type network mode');
}

/** The networks that a container is to be on go together. @throws DockerError */
export function checkTogether(names: readonly string[]): void {
  if (names.length < 2) return;
  // The first is what it was started with, the others are connected to.
  if (names.indexOf('host') > 0) refuse(HOST_NETWORK);
  if (names.includes('host')) refuse(SHARED_NETWORK);
  if (names.includes('none')) refuse(NO_NETWORK);
}

/** `docker network connect NETWORK CONTAINER`, `container` being on `names`. @throws DockerError */
export function checkConnect({ sharesWith }: ContainerSpec, names: readonly string[], network: string): void {
  if (sharesWith !== undefined) refuse(SHARED_NETWORK);
  if (!names.includes('host') && network === 'host') refuse(HOST_NETWORK);
  if (!names.includes(network)) checkTogether([...names, network]);
}

/** @throws DockerError */
export function checkDisconnect({ networks }: ContainerSpec, network: string): void {
  if (network === 'host' && networks.some(({ name }) => name === 'host')) refuse(HOST_NETWORK);
}

/** What is wished of an endpoint is possible on that network. @throws DockerError */
export function checkWish({ name, address, address6, aliases }: AttachmentSpec, spec: NetworkSpec | undefined): void {
  const addressed = address !== undefined || address6 !== undefined;
  if (PREDEFINED.has(name)) {
    if (addressed) refuse('user specified IP address is supported on user defined networks only');
    if (aliases.length > 0) refuse('network-scoped alias is supported only for containers in user defined networks');
    return;
  }
  if ((address !== undefined && !spec?.subnet) || (address6 !== undefined && !spec?.subnet6))
    refuse('user specified IP address is supported only when connecting to networks with user configured subnets');
}

/** In whose namespace a container on these networks is: undefined, in one of its own with a device for each. */
export function withoutDevices(networks: readonly AttachmentSpec[], drivers: Drivers): 'node' | 'empty' | undefined {
  return networks.flatMap(({ name }) => drivers.withOnly(name)?.only?.namespace ?? [])[0];
}

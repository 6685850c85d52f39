/**
 * `docker network create --config-only`: what networks that say `--config-from` have on this node, and what each node has of its own of
 * a network of the whole swarm (libnetwork network.go: configOnly, applyConfigurationTo).
 */

import type { NetworkSpec, NodeNetworkSpec } from '../topology/spec.js';
import type { Network } from '../topology/topology.js';
import { DockerError } from './errors.js';

export interface ConfigNetwork {
  id: string;
  name: string;
  node: string;
  /** Its pools, options, IPv6; its driver is nobody's. */
  spec: NetworkSpec;
}

const PARENT = 'parent';

export class ConfigNetworks {
  readonly #all = new Set<ConfigNetwork>();

  on(node: string): ConfigNetwork[] {
    return [...this.#all].filter((one) => one.node === node);
  }

  /** By name or id (or its first digits). */
  find(name: string, node: string): ConfigNetwork | undefined {
    const here = this.on(node);
    return (
      here.find((one) => one.name === name || one.id === name) ??
      (name === '' ? undefined : here.find(({ id }) => id.startsWith(name)))
    );
  }

  add(config: ConfigNetwork): void {
    this.#all.add(config);
  }
  remove(config: ConfigNetwork): void {
    this.#all.delete(config);
  }

  /** The node's own of that name. @throws DockerError */
  #of(name: string, node: string): ConfigNetwork {
    const found = this.find(name, node);
    if (found) return found;
    throw new DockerError(404, `configuration network "${name}" does not exist`);
  }

  /** A network of the node's own, with what its configuration says. */
  applied(spec: NetworkSpec, node: string): NetworkSpec {
    if (spec.configFrom === undefined) return spec;
    return { ...this.#of(spec.configFrom, node).spec, ...spec };
  }

  /** A network of the whole swarm comes to the node: what it is there. Its other options are those of the node that had it first. */
  appliedOn(network: Network, spec: NetworkSpec, node: string): NetworkSpec {
    if (spec.configFrom === undefined) return spec;
    const { options = {}, ...own } = this.#of(spec.configFrom, node).spec;
    const { [PARENT]: parent, ...others } = options;
    if (network.options === undefined && Object.keys(others).length > 0) network.options = others;
    const config: NodeNetworkSpec = {
      ...(own.subnet ? { subnet: own.subnet } : {}),
      ...(own.gateway ? { gateway: own.gateway } : {}),
      ...(own.ipRange ? { ipRange: own.ipRange } : {}),
      ...(own.auxAddresses ? { auxAddresses: own.auxAddresses } : {}),
      ...(parent ? { parent } : {}),
    };
    return { ...own, ...spec, configs: { [node]: config } };
  }
}

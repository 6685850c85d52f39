/**
 * Where a stimulus is put in. Mostly where it was captured; but a sandbox that came during the recording had no capture, and its
 * frames were taken where they were first seen (`sender` is its MAC): they leave from its own device, and what a socket sent
 * leaves from there, with the port that the mesh redirects to.
 */

import { layersOf, u16 } from '../dissect/layers.js';
import { ipv4 } from '../dissect/notation.js';
import { hostPart, type Sandbox } from '../topology/topology.js';
import { completed } from './checksums.js';
import type { Inputs } from './inputs.js';
import type { Stimulus } from './scenario.js';

export function atTheirSenders(
  stimuli: readonly Stimulus[],
  inputs: Inputs,
  sandboxes: readonly Sandbox[],
): Stimulus[] {
  return stimuli.map((one) =>
    one.sender === undefined ? withoutForeign(one, inputs) : atItsSender(one, inputs, sandboxes),
  );
}

function atItsSender(stimulus: Stimulus, { services }: Inputs, sandboxes: readonly Sandbox[]): Stimulus {
  for (const sandbox of sandboxes) {
    const endpoint = sandbox.endpoints.find(({ mac }) => mac === stimulus.sender);
    if (!endpoint) continue;
    const namespace = `${sandbox.node}.${sandbox.name}`;
    const { kind } = stimulus;
    // No NIC is below its device, whose part it would be.
    const data = completed(stimulus.data);
    const from = {
      ...stimulus,
      data,
      namespace,
      device: endpoint.interface,
      tap: `${namespace}/${endpoint.interface}`,
    };
    const layers = layersOf(data);
    const ip = layers.find(({ name }) => name === 'ip');
    const header = layers.find(({ name, quoted }) => !quoted && (name === 'tcp' || name === 'udp'));
    if (!ip || !header || stimulus.class !== 'application' || kind === 'tcp-rst') return from;
    const seen = u16(data, header.start);
    const redirected = services
      .find(({ name }) => name === sandbox.service)
      ?.ports.find(({ published, protocol }) => published === seen && protocol === header.name);
    const source = { address: ipv4(data, ip.start + 12), port: redirected?.target ?? seen };
    const destination = { address: ipv4(data, ip.start + 16), port: u16(data, header.start + 2) };
    return { ...from, socket: { source, destination } };
  }
  return stimulus;
}

/**
 * A load balancer's own reset of a connection whose destination is gone: the recording takes the connection's old NAT for the
 * reset's, but there is none any more, and no socket either.
 */
function withoutForeign(stimulus: Stimulus, { devices }: Inputs): Stimulus {
  const { socket, kind, namespace, data, ...rest } = stimulus;
  const ip = kind === 'tcp-rst' ? layersOf(data).find(({ name }) => name === 'ip') : undefined;
  if (!socket || !ip) return stimulus;
  const own = new Set(devices[namespace]?.flatMap(({ addresses }) => addresses.map(hostPart)));
  const local = (address: string) => own.has(address) || address.startsWith('127.');
  if (local(socket.source.address) || !local(ipv4(data, ip.start + 12))) return stimulus;
  return { ...rest, kind, namespace, data };
}

/** A node's daemon.json in a stack file: what dockerd would refuse to start with is refused in its words, at its place. */

import { describe, expect, it } from 'vitest';
import { read, refusal } from './reading.js';

const node = (daemon: string) => `x-swarmwire:
  nodes:
    - name: node1
      daemon: ${daemon}
`;

describe("a node's daemon.json", () => {
  it('is taken over as it stands, keys without a bearing on networks included', () => {
    const { spec } = read(
      node(
        '{ bip: 10.9.0.1/16, fixed-cidr: 10.9.8.0/24, mtu: 1400, dns: [10.0.0.53], dns-search: [example.com], userland-proxy: false, icc: false, ip: 192.168.99.110, default-address-pools: [{ base: 10.200.0.0/16, size: 24 }], log-driver: json-file }',
      ),
    );
    expect(spec.nodes[0]?.daemon).toMatchObject({ bip: '10.9.0.1/16', mtu: 1400, 'userland-proxy': false });
  });

  it.each([
    [
      '{ bridge-ip: 10.9.0.1/16 }',
      "4:17: unable to configure the Docker daemon: the following directives don't match any configuration option: bridge-ip",
    ],
    [
      '{ mtu: "1400" }',
      '4:22: unable to configure the Docker daemon: json: cannot unmarshal string into Go struct field Config.mtu of type int',
    ],
    ['{ icc: "no" }', 'json: cannot unmarshal string into Go struct field Config.icc of type bool'],
    ['{ dns: 10.0.0.53 }', 'json: cannot unmarshal string into Go struct field Config.dns of type []string'],
    ['{ bip: 10.9.0.1 }', '4:22: unable to configure the Docker daemon: invalid CIDR address: 10.9.0.1'],
    ['{ bip: 10.9.0.0.1/16 }', 'invalid CIDR address: 10.9.0.0.1/16'],
    ['{ fixed-cidr: 10.9.8.0/40 }', 'invalid CIDR address: 10.9.8.0/40'],
    [
      '{ bip: 10.9.0.1/16, fixed-cidr: 10.8.0.0/24 }',
      '4:47: unable to configure the Docker daemon: Invalid Address SubPool',
    ],
    ['{ bip: 10.9.0.1/16, fixed-cidr: 10.9.0.0/8 }', 'Invalid Address SubPool'],
    ['{ fixed-cidr: 10.9.8.0/24 }', 'Invalid Address SubPool'],
    ['{ default-gateway: router }', 'invalid IP address: router'],
    ['{ bip: 10.9.0.1/16, default-gateway: 10.8.0.1 }', 'default gateway ip must be part of the network'],
    ['{ dns: [10.0.0.53, resolver] }', '4:34: unable to configure the Docker daemon: resolver is not an ip address'],
    ['{ dns-search: ["exa mple"] }', 'exa mple is not a valid domain'],
    ['{ ip: anywhere }', 'invalid IP address: anywhere'],
    [
      '{ default-address-pools: [{ base: 10.200.0.0, size: 24 }] }',
      'invalid base pool "10.200.0.0": invalid CIDR address: 10.200.0.0',
    ],
    [
      '{ default-address-pools: [{ base: 10.200.0.0/16, size: 8 }] }',
      '4:70: unable to configure the Docker daemon: invalid pools size: 8',
    ],
    ['{ iptables: false, icc: false }', 'You specified --iptables=false with --icc=false.'],
  ])('with %s is refused', (daemon, message) => {
    expect(refusal(node(daemon)).message).toContain(message);
  });
});

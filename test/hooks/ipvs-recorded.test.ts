/**
 * IPVS after the recorded traffic: connections, states, active and inactive, packets and bytes as `ipvsadm -Lnc`, `-Ln` and
 * `-Ln --stats` showed them on the real nodes.
 */

import { describe, expect, it } from 'vitest';
import { RecordedSwarm, SETTLED } from '../engine/recorded-swarm.js';
import { balancedIn, connectionsIn, SECOND } from '../engine/state.js';
import { section } from '../swarm/dump.js';

const SCENARIOS = ['S6-ingress', 'S7-ingress-one'] as const;
const BALANCERS = ['node1.ingress_sbox', 'node2.ingress_sbox'] as const;

describe.each(SCENARIOS)('%s', async (scenario) => {
  const swarm = await RecordedSwarm.open(scenario);
  /** When each balanced connection was seen last, by client: its timer runs from there. */
  const last = new Map<string, { deadline: number; time: number }>();
  for (const stimulus of swarm.stimuli) {
    swarm.send(stimulus);
    for (const name of BALANCERS) {
      for (const { client, deadline } of balancedIn(swarm.namespace(name))) {
        const key = `${name} ${client}`;
        if (last.get(key)?.deadline !== deadline) last.set(key, { deadline, time: swarm.engine.now - SETTLED });
      }
    }
  }

  describe.each(BALANCERS)('%s', (name) => {
    it('has the same connections in the same states', () => {
      const real = section(scenario, name, 'ipvsadm -Lnc').flatMap((line) => {
        const [protocol, , state, source, virtual, destination] = line.split(/\s+/);
        return protocol === 'TCP' || protocol === 'UDP' ? [`${state} ${source} > ${virtual} to ${destination}`] : [];
      });
      const ours = balancedIn(swarm.namespace(name)).map(
        ({ state, client, server }) => `${state} ${client} to ${server.split(' > ')[0]}`,
      );
      expect(real.length).toBeGreaterThan(0);
      expect(ours.sort()).toEqual(real.sort());
    });

    it('keeps them from their last packet on for 120 s in TIME_WAIT, 300 s for UDP', () => {
      for (const { client, state } of balancedIn(swarm.namespace(name))) {
        const { deadline = 0, time = 0 } = last.get(`${name} ${client}`) ?? {};
        expect(Math.round((deadline - time) / SECOND), client).toBe(state === 'UDP' ? 300 : 120);
      }
    });

    it('counts none as active and each as inactive', () => {
      const real: Record<string, number[]> = {};
      for (const line of section(scenario, name, 'ipvsadm -Ln')) {
        const [, address, active, inactive] = /-> (\d[\d.]*):0 +Masq +1 +(\d+) +(\d+)/.exec(line) ?? [];
        if (address) real[address] = [Number(active), Number(inactive)];
      }
      const ours = Object.fromEntries(
        swarm
          .namespace(name)
          .ipvs.services.flatMap(({ destinations }) =>
            destinations.map(({ address, counters }) => [address, [counters.active, counters.inactive]]),
          ),
      );
      expect(ours).toEqual(real);
    });

    it('counts the same connections, packets and bytes for each destination', () => {
      const real: Record<string, number[]> = {};
      for (const line of section(scenario, name, 'ipvsadm -Ln --stats')) {
        const [, address, counters = ''] = /-> (\d[\d.]*):0 +(.*)$/.exec(line) ?? [];
        if (address) real[address] = counters.trim().split(/\s+/).map(Number);
      }
      const ours = Object.fromEntries(
        swarm
          .namespace(name)
          .ipvs.services.flatMap(({ destinations }) =>
            destinations.map(({ address, counters: c }) => [
              address,
              [c.connections, c.inPackets, c.outPackets, c.inBytes, c.outBytes],
            ]),
          ),
      );
      expect(ours).toEqual(real);
    });

    it('lets conntrack know them as `conntrack -L` did', () => {
      const real = section(scenario, name, 'conntrack -L').flatMap((line) => {
        const found =
          /^(tcp|udp) .*?src=(\S+) dst=(\S+) sport=(\d+) dport=(\d+) .*?src=(\S+) dst=(\S+) sport=(\d+) dport=(\d+)/.exec(
            line,
          );
        const [, protocol, ...t] = found ?? [];
        return protocol === 'tcp' ? [`${t[0]}:${t[2]} > ${t[1]}:${t[3]}, ${t[4]}:${t[6]} > ${t[5]}:${t[7]}`] : [];
      });
      const ours = connectionsIn(swarm.namespace(name))
        .filter(({ protocol }) => protocol === 6)
        .map(({ original, reply }) => `${original}, ${reply}`);
      expect(ours.sort()).toEqual(real.sort());
    });
  });
});

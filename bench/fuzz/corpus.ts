/** Real frames to start from: what the recorded swarm's taps saw, or what every tap of the planned one sees of its traffic. */

import { readCapture } from '../../src/capture/read.js';
import { loadScenario } from '../../src/replay/scenario.js';
import { namespaceName } from '../../src/replay/topology.js';
import { Swarm } from '../../src/swarm/swarm.js';
import { readIn } from './files.js';
import { RECORDING, SPEC, SPEC_SEED, type WorldName } from './world.js';

export interface RealFrame {
  /** `node/namespace/device` where it was seen. */
  tap: string;
  data: Uint8Array;
}

export async function corpusOf(world: WorldName): Promise<RealFrame[]> {
  if (world === 'planned') {
    const swarm = await Swarm.create(SPEC, { seed: SPEC_SEED });
    swarm.tapEverything();
    swarm.play();
    return swarm.frames().map(({ tap, data }) => ({ tap, data }));
  }
  const read = readIn(`test/oracle/${RECORDING}`);
  return loadScenario(RECORDING, read).inputs.captures.flatMap(({ pcap, namespace, device }) => {
    const file = read(pcap);
    const tap = `${namespaceName(namespace)}/${device}`;
    return file ? readCapture(file).frames.map(({ data }) => ({ tap, data })) : [];
  });
}

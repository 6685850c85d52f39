/** gliderlabs/resolvable: a container that answers DNS for its node's containers, `NAME.docker` and host names (dns/docker-domain.ts). */

import type { Names } from '../dns/index.js';
import type { Namespace } from '../engine/index.js';
import type { Program } from '../programs/index.js';
import { until } from '../programs/steps.js';
import type { Sandbox } from '../topology/topology.js';

/** Its program's name, and the domain behind containers' names. */
export const RESOLVABLE = '/bin/resolvable';
const DOMAIN = 'docker';

export function resolvable(names: Names, sandbox: Sandbox, namespace: Namespace): Program {
  return function* resolvable(process) {
    let close: () => void;
    try {
      close = names.serveDomain(sandbox, namespace, DOMAIN);
    } catch {
      process.stderr.write('resolvable: listen udp :53: bind: address already in use\n');
      return 1;
    }
    process.stderr.write('Starting resolvable ...\n');
    try {
      return yield* until<number>(() => undefined);
    } finally {
      close();
    }
  };
}

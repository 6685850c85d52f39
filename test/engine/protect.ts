/** ESP between two addresses: marked UDP to PORT goes through it (ip xfrm, and the rule that marks). */

import type { Namespace } from '../../src/engine/index.js';
import { hex } from './packets.js';

export const PORT = 4789;
const MARK = 0xd0c4e3;
export const KEY = hex('a6ca4ba5c34d7f9a179ee3ab270a0161 deadbeef');

/** The namespace with the address `own` sends to `peer` by SPI `sends`, and is sent to by SPI `receives`. */
export function protect(
  { xfrm, iptables }: Namespace,
  own: string,
  peer: string,
  sends: number,
  receives: number,
): void {
  xfrm.addAssociation({ source: peer, destination: own, spi: receives, reqid: 5, key: KEY });
  xfrm.addAssociation({ source: own, destination: peer, spi: sends, reqid: 5, key: KEY });
  const template = { source: own, destination: peer, spi: sends, reqid: 5 };
  xfrm.setPolicy({
    source: own,
    destination: peer,
    protocol: 17,
    port: PORT,
    mark: MARK,
    markMask: 0xffffffff,
    template,
  });
  iptables.append('mangle', 'OUTPUT', { protocol: 'udp', dport: PORT, target: 'MARK', value: MARK });
}

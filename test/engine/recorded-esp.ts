/** What S9-encrypted-overlay recorded of ESP: the frames, and the associations that open them. */

import { recorded } from '../replay/recorded.js';
import { recordedFrames } from './oracle.js';
import { hex, u16, u32 } from './packets.js';

const SCENARIO = 'S9-encrypted-overlay';

export interface RecordedEsp {
  frame: Uint8Array;
  /** From the ESP header to the end of the ICV. */
  esp: Uint8Array;
  spi: number;
  sequence: number;
  /** Key of 16 bytes and salt of 4. */
  key: Uint8Array;
}

export const ASSOCIATIONS = Object.values(recorded(SCENARIO).inputs.encryption?.associations ?? {}).flat();

export const ESP_FRAMES: RecordedEsp[] = ['node1.host.eth0', 'node2.host.eth0']
  .flatMap((tap) => recordedFrames(`${SCENARIO}/${tap}`))
  .filter((frame) => frame[23] === 50)
  .map((frame) => {
    const esp = frame.subarray(34, 14 + u16(frame, 16));
    const spi = u32(esp, 0);
    const key = ASSOCIATIONS.find((one) => Number(one.spi) === spi)?.key;
    if (!key) throw new Error(`no key for SPI ${spi}`);
    return { frame, esp, spi, sequence: u32(esp, 4), key: hex(key.slice(2)) };
  });

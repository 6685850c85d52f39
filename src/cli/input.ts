/** Files that a person names, read; what the system refuses becomes a sentence. */

import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Capture } from '../capture/capture.js';
import { CaptureError, readCapture } from '../capture/read.js';
import { type Driver, Drivers } from '../drivers/index.js';
import { LinkTypeError, requireEthernet } from '../replay/diff-sides.js';
import { parseStackFile, type StackFile } from '../stack-file/index.js';
import type { EngineVersion } from '../topology/daemon.js';
import { BadInput } from './bad-input.js';

const REASONS: Record<string, string> = {
  ENOENT: 'there is no such file',
  EISDIR: 'it is a directory',
  EACCES: 'permission denied',
};

/** @throws BadInput */
export function readInput(file: string): Uint8Array {
  try {
    return readFileSync(file);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new BadInput(`cannot read ${file}: ${REASONS[code ?? ''] ?? message}`);
  }
}

/** A pcap or pcapng file of Ethernet frames. @throws BadInput */
export function readCaptureFile(file: string): Capture {
  const bytes = readInput(file);
  try {
    const capture = readCapture(bytes);
    requireEthernet(capture);
    return capture;
  } catch (error) {
    if (error instanceof CaptureError) throw new BadInput(`cannot read ${file}: ${error.message}`);
    if (error instanceof LinkTypeError) {
      throw new BadInput(`${file}: ${error.message}`, 'capture at an interface of its own: tcpdump -i eth0 -w FILE');
    }
    throw error;
  }
}

/**
 * Network drivers of a third party: modules whose default export is one, or a list of them. @throws BadInput
 */
export async function loadDrivers(files: readonly string[]): Promise<Driver[]> {
  const drivers: Driver[] = [];
  for (const file of files) {
    try {
      const module = (await import(pathToFileURL(resolve(file)).href)) as { default?: unknown };
      if (module.default === undefined)
        throw new BadInput(`--driver ${file}: it has no default export`, 'write: export default { name: …, … }');
      drivers.push(...([module.default].flat() as Driver[]));
      new Drivers(drivers);
    } catch (error) {
      if (error instanceof BadInput) throw error;
      const { code, message } = error as NodeJS.ErrnoException;
      const absent = code === 'ERR_MODULE_NOT_FOUND' && !existsSync(file);
      throw new BadInput(
        `--driver ${file}: ${absent ? 'there is no such file' : message}`,
        'docs/drivers.md shows a driver',
      );
    }
  }
  return drivers;
}

/** A stack file with its variables from the environment. @throws BadInput, StackFileError */
export function readStackFile(
  file: string,
  nodes: number | undefined,
  drivers: readonly Driver[] = [],
  engine?: EngineVersion,
): StackFile {
  const environment = Object.fromEntries(
    Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
  const text = new TextDecoder().decode(readInput(file));
  return parseStackFile(text, {
    file,
    environment,
    drivers,
    ...(nodes === undefined ? {} : { nodes }),
    ...(engine === undefined ? {} : { engine }),
  });
}

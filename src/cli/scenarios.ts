/** Recorded scenarios on disk: which folders are some, and the function that reads their files. */

import { existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs';
import { basename, join, resolve, sep } from 'node:path';
import { type ReadFile, ScenarioError } from '../replay/scenario.js';
import { BadInput } from './bad-input.js';

export interface ScenarioFolder {
  /** As the table shows it: the folder's name, longer where two have the same. */
  name: string;
  folder: string;
  /** The directories asked for that led here: the folder itself, the one that holds it, or the same written otherwise. */
  asked: string[];
}

/**
 * A directory is a scenario, when it has `inputs.json` or captures, or holds scenarios, a folder each. Folders without either are
 * none. @throws BadInput when there is none at all
 */
export function findScenarios(directories: readonly string[]): ScenarioFolder[] {
  const found = new Map<string, { folder: string; asked: string[] }>();
  for (const asked of directories) {
    const folders = scenariosIn(asked);
    if (folders.length === 0) {
      throw new BadInput(
        `${asked} holds no scenario`,
        'a scenario is a folder with inputs.json and the captures that it lists',
      );
    }
    for (const folder of folders) {
      const real = realpathSync(folder);
      const known = found.get(real);
      if (known === undefined) found.set(real, { folder, asked: [asked] });
      else known.asked.push(asked);
    }
  }
  const taken = new Set<string>();
  return [...found].map(([real, { folder, asked }]) => {
    const name = unusedName(real, taken);
    taken.add(name);
    return { name, folder, asked };
  });
}

function scenariosIn(directory: string): string[] {
  let entries: string[];
  try {
    entries = readdirSync(directory).sort(inNumberOrder);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why =
      code === 'ENOENT' ? 'there is no such directory' : code === 'ENOTDIR' ? 'it is no directory' : String(error);
    throw new BadInput(`cannot read ${directory}: ${why}`);
  }
  if (isScenario(entries)) return [directory];
  return entries.map((entry) => join(directory, entry)).filter((folder) => isScenario(filesIn(folder)));
}

/** S2 before S10. */
function inNumberOrder(a: string, b: string): number {
  return a.localeCompare(b, 'en', { numeric: true });
}

/** A folder with captures but without `inputs.json` is one that cannot be read: better said than passed over. */
function isScenario(entries: readonly string[]): boolean {
  return entries.includes('inputs.json') || entries.some((entry) => entry.endsWith('.pcap'));
}

function filesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** `S6-ingress`; when that is taken `oracle/S6-ingress`, and so on. */
function unusedName(path: string, taken: ReadonlySet<string>): string {
  const parts = resolve(path).split(sep);
  let name = basename(path);
  for (let from = parts.length - 2; from >= 0 && taken.has(name); from--) name = `${parts[from]}/${name}`;
  return name;
}

/** Reads files of one folder, whatever names `inputs.json` has. */
export function readerOf({ name, folder }: ScenarioFolder): ReadFile {
  return (file) => {
    const path = join(folder, file);
    if (basename(path) !== file.replace(/^state\//, '') || !existsSync(path)) return undefined;
    try {
      return readFileSync(path);
    } catch (error) {
      throw new ScenarioError(`${name}: cannot read ${file}: ${(error as Error).message}`);
    }
  };
}

/**
 * A stack file in, a `StackSpec` out. The text is read in five steps, a file each:
 * `document` (YAML, variables, places), `schema` (shape), `services` and `networks` (what to deploy), `x-swarmwire` (around it).
 *
 * Names stay as the file has them: `docker stack deploy` would put the stack's name before each (`app_web`), and does not here.
 */
import { type Driver, Drivers } from '../drivers/index.js';
import type { EngineVersion } from '../topology/daemon.js';
import type { StackSpec } from '../topology/spec.js';
import { type ComposeFile, entries } from './compose-file.js';
import { composedServices } from './composed.js';
import { containerAttachments, containersOf, readContainers } from './containers.js';
import { readDocument } from './document.js';
import { readEngine } from './engine.js';
import type { Notice } from './error.js';
import { Findings } from './findings.js';
import { validateFile, validateSection } from './generated/validators.js';
import { placeServices } from './placement.js';
import { check } from './schema.js';
import { SECTION, type Section } from './section.js';
import { readStack } from './services.js';
import { readSwarmInit } from './swarm-init.js';
import { readSurroundings } from './x-swarmwire.js';

export { engineOf } from './engine.js';
export { type Notice, type Place, type Problem, StackFileError } from './error.js';

export interface StackFile {
  spec: StackSpec;
  /** Keys that a stack deployment ignores. Each is named once, with the services that have it. */
  ignored: Notice[];
  /** Keys that bear on networks and are not carried out yet. */
  unsupported: Notice[];
  /** What was understood in another way than its author may expect: variables that are not set, host addresses of ports. */
  warnings: Notice[];
}

export interface StackFileOptions {
  /** The file's name, for messages only: nothing is read from it. */
  file: string;
  /** Values of the variables in the file. */
  environment?: Record<string, string>;
  /** How many nodes, whatever the file says. */
  nodes?: number;
  /** Which engine, whatever the file says. */
  engine?: EngineVersion;
  /** Network drivers beside Docker's own, which the file's networks may name. */
  drivers?: readonly Driver[];
}

/** @throws StackFileError with every problem that was found, and nothing else, whatever the text */
export function parseStackFile(text: string, options: StackFileOptions): StackFile {
  const findings = new Findings(options.file);
  const document = readDocument(text, options.environment ?? {}, findings);

  check(validateFile, document, '', findings);
  findings.settle();
  const file = document as ComposeFile;
  const section = file['x-swarmwire'] ?? {};
  check(validateSection, section, SECTION, findings);
  findings.settle();
  if (file.include !== undefined) {
    findings.refuse(
      findings.places.key('/include'),
      'other files cannot be included, nor does docker stack deploy',
      'put all services into one file; "docker compose config" does it for you',
    );
  }
  if (file.services === undefined && file['x-swarmwire'] === undefined) {
    findings.refuse({ line: 1, column: 1 }, 'this file has no services', 'write them under "services:"');
  }

  const around = section as Section;
  findings.engine = options.engine ?? readEngine(around, findings);
  const composed = around.swarm === false;
  const written = [...(composed ? composedServices(file, findings) : []), ...containersOf(around)];
  const { services, networks, names } = readStack(
    file,
    containerAttachments(written),
    composed,
    new Drivers(options.drivers),
    findings,
  );
  const { nodes, outside, containers, traffic, calls, changes, roles, firewall } = readSurroundings(
    around,
    services,
    (nodes) => {
      placeServices(around, services, written, nodes, withReplicas(file), findings);
      return readContainers(written, around, nodes, networks, names, findings);
    },
    options.nodes,
    findings,
  );
  const swarmInit = readSwarmInit(around, findings);
  findings.settle();
  return {
    spec: {
      engine: findings.engine,
      nodes,
      outside,
      networks,
      services,
      ...(containers.length > 0 ? { containers } : {}),
      ...(around.swarm === undefined ? {} : { swarm: around.swarm !== false }),
      ...(swarmInit ? { swarmInit } : {}),
      calls,
      ...(roles.length > 0 ? { roles } : {}),
      traffic,
      ...(changes.length > 0 ? { changes } : {}),
      ...(around['control-plane'] ? { controlPlane: true } : {}),
      ...(firewall.length > 0 ? { firewall } : {}),
    },
    ignored: findings.ignored,
    unsupported: findings.unsupported,
    warnings: findings.warnings,
  };
}

function withReplicas(file: ComposeFile): ReadonlySet<string> {
  return new Set(
    entries(file.services).flatMap(([name, { deploy }]) => (deploy?.replicas === undefined ? [] : [name])),
  );
}

/**
 * `deploy` of a service, how many and where aside: what happens when a task ends, how tasks are replaced, how they are spread
 * (docker/cli, cli/compose/convert/service.go: convertRestartPolicy, convertUpdateConfig, convertPlacement).
 */
import type { RestartPolicy, ServiceSpec, UpdatePolicy } from '../topology/spec.js';
import type { ComposeDeploy, ComposeUpdate } from './compose-file.js';
import { durationOf } from './durations.js';
import type { Findings } from './findings.js';

type Deployed = Pick<ServiceSpec, 'restart' | 'update' | 'rollback' | 'preferences' | 'maxReplicasPerNode'>;

const CONDITIONS = ['none', 'on-failure', 'any'] as const;
const NO_FAILURE = 'an update goes on to its end, whatever becomes of the new tasks';
const OF_FAILURES: readonly (keyof ComposeUpdate)[] = ['failure_action', 'monitor', 'max_failure_ratio'];

export function readDeploy(name: string, deploy: ComposeDeploy, pointer: string, findings: Findings): Deployed {
  const restart = readRestart(deploy, `${pointer}/restart_policy`, findings);
  const update = readUpdate(name, deploy, 'update_config', pointer, findings);
  const rollback = readUpdate(name, deploy, 'rollback_config', pointer, findings);
  return {
    ...(restart ? { restart } : {}),
    ...(update ? { update } : {}),
    ...(rollback ? { rollback } : {}),
    ...readPlacement(name, deploy, `${pointer}/placement`, findings),
  };
}

function readRestart(deploy: ComposeDeploy, pointer: string, findings: Findings): RestartPolicy | undefined {
  const written = deploy.restart_policy;
  if (!written) return undefined;
  const condition = CONDITIONS.find((one) => one === (written.condition ?? 'any'));
  if (condition === undefined)
    findings.refuse(
      findings.places.value(`${pointer}/condition`),
      `unknown restart policy: ${written.condition}`,
      'write none, on-failure or any',
    );
  const delay = readDuration(written.delay, `${pointer}/delay`, findings);
  const window = readDuration(written.window, `${pointer}/window`, findings);
  const attempts = Number(written.max_attempts ?? 0);
  if (!Number.isInteger(attempts) || attempts < 0)
    findings.refuse(findings.places.value(`${pointer}/max_attempts`), `"${written.max_attempts}" is no whole number`);
  return {
    condition: condition ?? 'any',
    ...(delay === undefined ? {} : { delay }),
    // 0 is no limit (swarmkit restart.go, shouldRestart).
    ...(attempts > 0 ? { maxAttempts: attempts } : {}),
    ...(window === undefined || window === 0 ? {} : { window }),
  };
}

function readUpdate(
  name: string,
  deploy: ComposeDeploy,
  key: 'update_config' | 'rollback_config',
  at: string,
  findings: Findings,
): UpdatePolicy | undefined {
  const written = deploy[key];
  if (!written) return undefined;
  const pointer = `${at}/${key}`;
  for (const other of OF_FAILURES)
    if (written[other] !== undefined)
      findings.unsupport(`deploy.${key}.${other}`, findings.places.key(`${pointer}/${other}`), NO_FAILURE, name);
  const delay = readDuration(written.delay, `${pointer}/delay`, findings);
  return {
    ...(written.parallelism === undefined ? {} : { parallelism: Number(written.parallelism) }),
    ...(delay === undefined ? {} : { delay }),
    ...(written.order === undefined ? {} : { order: written.order }),
  };
}

function readPlacement(
  name: string,
  { placement, mode }: ComposeDeploy,
  pointer: string,
  findings: Findings,
): Pick<ServiceSpec, 'preferences' | 'maxReplicasPerNode'> {
  const { preferences = [], max_replicas_per_node: most } = placement ?? {};
  const spread = preferences.flatMap(({ spread: label }, i) => {
    const where = findings.places.value(`${pointer}/preferences/${i}`);
    if (label !== undefined && /^node\.labels\.\S+$/.test(label)) return [label];
    if (label?.startsWith('engine.labels.')) {
      findings.unsupport('deploy.placement.preferences', where, 'nodes have no engine.labels; write node.labels', name);
      return [];
    }
    findings.refuse(where, `"${label ?? ''}" is nothing to spread tasks over`, 'write spread: node.labels.rack');
    return [];
  });
  if (most !== undefined && Number(most) > 0 && mode === 'global')
    findings.unsupport(
      'deploy.placement.max_replicas_per_node',
      findings.places.key(`${pointer}/max_replicas_per_node`),
      'a global service has one task on each node',
      name,
    );
  return {
    ...(spread.length > 0 ? { preferences: spread } : {}),
    ...(Number(most ?? 0) > 0 && mode !== 'global' ? { maxReplicasPerNode: Number(most) } : {}),
  };
}

function readDuration(text: string | undefined, pointer: string, findings: Findings): number | undefined {
  if (text === undefined) return undefined;
  const duration = durationOf(text);
  if (duration === undefined)
    findings.refuse(findings.places.value(pointer), `"${text}" is no duration`, 'a duration is written 10s or 1m30s');
  return duration;
}

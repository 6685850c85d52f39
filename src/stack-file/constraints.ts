/**
 * Placement constraints (swarmkit, manager/constraint/constraint.go): `node.hostname == node1`, `node.labels.zone != a`.
 */
import { knownNames } from './wording.js';

export type Constraint =
  | { kind: 'kept'; text: string }
  /** A constraint that swarm knows and swarmwire's nodes have no property for. */
  | { kind: 'unsupported'; key: string }
  | { kind: 'malformed'; message: string; hint: string };

const LABEL = 'node.labels.';
const KEPT = ['node.hostname', 'node.role', 'node.id'];
const UNSUPPORTED = ['node.platform.os', 'node.platform.arch', 'node.ip'];

/** Kept constraints come back in one spelling, `key==value`, without spaces. */
export function readConstraint(text: string): Constraint {
  const found = /^\s*([^\s=!]+)\s*(==|!=)\s*(.*?)\s*$/.exec(text);
  const [, key = '', operator = '', value = ''] = found ?? [];
  if (found === null || !/^[\w:\-. *()?+[\]\\^$|/]+$/.test(value)) {
    const single = /^\s*([^\s=!<>]+)\s*=\s*([^\s=]+)\s*$/.exec(text);
    return {
      kind: 'malformed',
      message: `"${text}" is no placement constraint`,
      hint: single
        ? `did you mean "${single[1]} == ${single[2]}"?`
        : 'a constraint is written "node.role == worker" or "node.hostname != node1"',
    };
  }
  // Like swarm's own, these keys have no case; a label's name has.
  const lower = key.toLowerCase();
  if (isLabel(key, LABEL)) return { kind: 'kept', text: `${LABEL}${key.slice(LABEL.length)}${operator}${value}` };
  if (KEPT.includes(lower)) {
    const written = lower === 'node.role' ? value.toLowerCase() : value;
    if (lower === 'node.role' && written !== 'manager' && written !== 'worker') {
      return { kind: 'malformed', message: `no node has the role "${value}"`, hint: 'a role is manager or worker' };
    }
    return { kind: 'kept', text: `${lower}${operator}${written}` };
  }
  if (UNSUPPORTED.includes(lower) || isLabel(key, 'engine.labels.')) return { kind: 'unsupported', key: lower };
  return {
    kind: 'malformed',
    message: `"${key}" is nothing that a node can be chosen by`,
    hint: knownNames(key, [...KEPT, `${LABEL}NAME`]),
  };
}

function isLabel(key: string, prefix: string): boolean {
  return key.toLowerCase().startsWith(prefix) && key.length > prefix.length;
}

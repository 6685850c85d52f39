/** What a swarm knows of itself beside its data path: nodes, containers, services and tasks, and the states that they are in. */

import type { ContainerSpec, NodeSpec, ServiceSpec } from '../topology/spec.js';
import type { Sandbox, Service } from '../topology/topology.js';
import type { Restarts } from './restart.js';

/** Virtual time, ns. */
type Time = number;

export interface NodeState {
  readonly id: string;
  readonly spec: NodeSpec;
  readonly name: string;
  role: 'manager' | 'worker';
  /** Is it in the swarm? */
  member: boolean;
  availability: 'active' | 'pause' | 'drain';
  /** `down` once the managers have missed its heartbeats. */
  state: 'ready' | 'down' | 'disconnected';
  /** Switched off, or its cable cut; the managers find out later. */
  lost: boolean;
  /** No manager hears it: it is lost, or cannot reach port 2377 of any. Its tasks run on, and it is given no others. */
  silent: boolean;
  /** `docker swarm join` goes on in the background until it reaches a manager. */
  joining?: boolean;
}

export type ContainerStatus = 'created' | 'running' | 'restarting' | 'exited';

export interface ContainerState {
  readonly id: string;
  name: string;
  readonly node: string;
  readonly spec: ContainerSpec;
  /** Of a swarm's task. */
  readonly task?: TaskState;
  status: ContainerStatus;
  /** While it runs. */
  sandbox?: Sandbox;
  exitCode: number;
  created: Time;
  started?: Time;
  finished?: Time;
  readonly restarts: Restarts;
}

/** swarmkit's states (api/types.proto, TaskState), in their order. */
export const TASK_STATES = [
  'new',
  'pending',
  'assigned',
  'accepted',
  'preparing',
  'ready',
  'starting',
  'running',
  'complete',
  'shutdown',
  'failed',
  'rejected',
  'remove',
  'orphaned',
] as const;
export type TaskStatus = (typeof TASK_STATES)[number];

export interface TaskState {
  readonly id: string;
  readonly service: ServiceState;
  /** `web.1`, `agent.<node>` */
  readonly name: string;
  /** 0 for a global service's. */
  readonly slot: number;
  /** The service's spec when it was made. */
  readonly spec: ServiceSpec;
  node?: string;
  desired: 'ready' | 'running' | 'shutdown' | 'remove';
  state: TaskStatus;
  /** `started`, `shutdown`, `task: non-zero exit (137)`, … */
  message: string;
  error?: string;
  /** Network → address, given out before it has a node. */
  readonly addresses: Map<string, string>;
  container?: ContainerState;
  created: Time;
  updated: Time;
}

export interface UpdateStatus {
  state: 'updating' | 'paused' | 'completed' | 'rollback_started' | 'rollback_paused' | 'rollback_completed';
  started: Time;
  completed?: Time;
  message: string;
}

export interface ServiceState {
  readonly id: string;
  spec: ServiceSpec;
  /** What a rollback goes back to. */
  previous?: ServiceSpec;
  /** Counts changes. */
  version: number;
  /** Its part of the data path. */
  readonly path: Service;
  readonly tasks: Set<TaskState>;
  update?: UpdateStatus;
  created: Time;
  updated: Time;
}

export function isRunning({ state }: TaskState): boolean {
  return TASK_STATES.indexOf(state) <= TASK_STATES.indexOf('running');
}

/** What the nodes do with tasks. */
export interface Agents {
  /** The node has been given the task: it starts it, and says so by `Orchestrator.report`. */
  start(task: TaskState): void;
  stop(task: TaskState): void;
  /** The task is forgotten: its container goes, and networks that nobody else needs there. */
  remove(task: TaskState): void;
  /** The manager has given the task a node: what networks need there gets its addresses. */
  assigned(task: TaskState): void;
}

/** swarmwire as a library: stacks in, frames out. Runs wherever WebAssembly does. */

export type { Capture, CapturedFrame } from './capture/capture.js';
export { Captured } from './capture/captured.js';
export { ESP_PREFERENCES, type EspKey, espSa } from './capture/esp-keys.js';
export { CaptureError, readCapture } from './capture/read.js';
export {
  type Attachment,
  type Driver,
  type Joined,
  type NetworkAt,
  type NodeContext,
  type Peer,
  UnknownDriver,
} from './drivers/index.js';
export { type Account, Device, Engine, type EngineOptions, Namespace, Segment } from './engine/index.js';
export {
  type Notice,
  parseStackFile,
  type StackFile,
  StackFileError,
  type StackFileOptions,
} from './stack-file/index.js';
export { Cluster, type ClusterEvent, type Runtime } from './swarm/cluster.js';
export { DockerError } from './swarm/errors.js';
export type { Step } from './swarm/journey.js';
export type { MissingPort } from './swarm/missing-ports.js';
export { PlanError } from './swarm/plan.js';
export type { ContainerState, NodeState, ServiceState, TaskState } from './swarm/state.js';
export { type ChangeReport, type FlowReport, Swarm, type SwarmOptions } from './swarm/swarm.js';
export type * from './topology/spec.js';
export type { Topology } from './topology/topology.js';

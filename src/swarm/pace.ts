/**
 * How long things take, ns of virtual time. Some are Docker's own settings, the others what the recorded swarm took, or less
 * than it would show. None is drawn at random: a run's times are the same each time.
 */

const SECOND = 1_000_000_000;

/** What one node has programmed reaches the others (networkdb gossips every 200 ms). */
export const GOSSIP = 0.2 * SECOND;
/** And where they can do it by TCP alone (networkdb's bulk sync). */
export const BULK_SYNC = 30 * SECOND;
/** From a task's assignment to its running container: its image is there already. */
export const START = 0.7 * SECOND;
/** From the last breath of a container's process until dockerd has taken its endpoints away. */
export const TEARDOWN = 0.5 * SECOND;
/** Between SIGTERM and SIGKILL (`docker stop --time`, `stop_grace_period`). */
export const STOP_GRACE = 10 * SECOND;
/** A task that ended is replaced so much later (`restart_policy: delay`). */
export const RESTART_DELAY = 5 * SECOND;
/** A node that says nothing any more is dead to the others' gossip (memberlist: a probe a second, suspicion for four). */
export const GOSSIP_FAILURE = 5 * SECOND;
/** And down to the managers: three heartbeats of 5 s (swarmkit manager/dispatcher). */
export const HEARTBEAT_FAILURE = 15 * SECOND;
/** Old tasks of a slot that are kept (`docker swarm update --task-history-limit`). */
export const TASK_HISTORY = 5;
/** A drained node's task that does not stop holds its replacement up so long (swarmkit defaultOldTaskTimeout). */
export const OLD_TASK_TIMEOUT = 60 * SECOND;

/** What Docker refuses, in its own words, with the status that the Engine API gives it. */

export class DockerError extends Error {
  override name = 'DockerError';
  constructor(
    /** HTTP status: 400 bad request, 403 forbidden, 404 not found, 409 conflict, 500, 503 no swarm. */
    readonly status: 400 | 403 | 404 | 409 | 500 | 503,
    message: string,
  ) {
    super(message);
  }
}

export const NO_MANAGER =
  'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.';

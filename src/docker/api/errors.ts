/** Errors as the Engine API has them: a status, and `{"message": …}`. */

import { UnknownDriver } from '../../drivers/index.js';
import { DockerError } from '../../swarm/errors.js';

export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

/** Status and message of whatever was thrown. */
export function answerTo(error: unknown): { status: number; message: string } {
  if (error instanceof ApiError || error instanceof DockerError)
    return { status: error.status, message: error.message };
  if (error instanceof UnknownDriver) return { status: 404, message: error.message };
  if (error instanceof RangeError) return { status: 400, message: error.message };
  return { status: 500, message: error instanceof Error ? error.message : String(error) };
}

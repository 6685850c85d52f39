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

/** More than any client sends. */
export const LARGEST_BODY = 4 << 20;

export function tooLarge(): ApiError {
  return new ApiError(413, `request body is larger than ${LARGEST_BODY} bytes`);
}

/** Status and message of whatever was thrown. */
export function answerTo(error: unknown): { status: number; message: string } {
  if (error instanceof ApiError || error instanceof DockerError)
    return { status: error.status, message: error.message };
  if (error instanceof UnknownDriver) return { status: 404, message: error.message };
  if (error instanceof RangeError || error instanceof URIError) return { status: 400, message: error.message };
  return { status: 500, message: error instanceof Error ? error.message : String(error) };
}

/**
 * The system gives an engine no memory. V8 reserves some 10 GiB of addresses for each, far more than it uses, so that no access
 * has to be checked; a limit on addresses (`ulimit -v`) may be below that.
 */
export class EngineMemoryError extends Error {
  override name = 'EngineMemoryError';

  constructor(cause: unknown) {
    super('the system does not give an engine the memory that it reserves, some 10 GiB of addresses (ulimit -v)', {
      cause,
    });
  }
}

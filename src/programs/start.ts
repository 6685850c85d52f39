/** Starts a program: gives it its streams, ends it by a signal, says its last words. */

import { Exit, type Machine, type Process, type Program } from './process.js';
import { type Steps, Task } from './steps.js';
import type { Output, Pipe } from './stream.js';

/** 128 + the signal's number. */
const INTERRUPTED = 130;

export interface Start {
  machine: Machine;
  argv: readonly string[];
  environment: Map<string, string>;
  stdin: Pipe;
  stdout: Output;
  stderr: Output;
  terminal: boolean;
  program: Program;
  pid?: number;
}

export interface Started {
  process: Process;
  /** Its result is the exit status. */
  task: Task<number>;
  /** Ctrl-C. */
  interrupt(): void;
}

export function start({ program, pid = 1, ...rest }: Start): Started {
  const process: Process = { ...rest, pid, onInterrupt: undefined };
  const task = new Task(run(program, process), process.machine.freezer);
  return {
    process,
    task,
    interrupt: () => {
      if (process.onInterrupt) process.onInterrupt();
      else task.stop(INTERRUPTED);
    },
  };
}

function* run(program: Program, process: Process): Steps<number> {
  try {
    return yield* program(process);
  } catch (error) {
    if (!(error instanceof Exit)) throw error;
    if (error.words !== '') process.stderr.write(`${error.words}\n`);
    return error.status;
  }
}

/** Programs that run inside a namespace, with the output of the real ones. */

export { Computer, type ComputerOptions, type RunOptions } from './computer.js';
export type { Files, Host, Machine, Process, Program, RunningProcess, Service } from './process.js';
export { PROGRAMS, programOf } from './registry.js';
export { type Start, type Started, start } from './start.js';
export { Task } from './steps.js';
export { NOWHERE, type Output, Pipe } from './stream.js';
export { Terminal } from './terminal.js';

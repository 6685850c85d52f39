/** Programs that run inside a namespace, with the output of the real ones. */

export { Computer, type ComputerOptions, type RunOptions } from './computer.js';
export {
  Exit,
  type Files,
  type Host,
  type Machine,
  type Process,
  type Program,
  type RunningProcess,
  type Service,
} from './process.js';
export { PROGRAMS, programOf } from './registry.js';
export { Shell } from './shell.js';
export { continues } from './shell-grammar.js';
export { type Start, type Started, start } from './start.js';
export { Task } from './steps.js';
export { NOWHERE, type Output, Pipe } from './stream.js';
export { Terminal } from './terminal.js';

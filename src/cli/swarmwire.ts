/**
 * The `swarmwire` command: finds the command asked for, a file each, and turns what goes wrong into words and an exit code:
 * 0 all is well, 1 traffic failed or a comparison found differences, 2 bad input.
 */

import { CaptureFileError } from '../capture/files.js';
import { StackFileError } from '../stack-file/error.js';
import { BadInput } from './bad-input.js';
import { COMMANDS, type CommandName, overview } from './commands.js';
import { nearest } from './nearest.js';
import { processTerminal, type Terminal } from './terminal.js';
import { version } from './version.js';

const BAD_INPUT = 2;

async function main(args: readonly string[], terminal: Terminal): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined) {
    terminal.err(overview());
    return BAD_INPUT;
  }
  if (name === '--help' || name === '-h' || name === 'help') {
    const about = rest[0];
    terminal.out(about !== undefined && isCommand(about) ? (await COMMANDS[about].load()).help : overview());
    return 0;
  }
  if (name === '--version' || name === '-v') {
    terminal.out(version());
    return 0;
  }
  if (!isCommand(name)) {
    const what = name.startsWith('-') ? 'option' : 'command';
    const meant = nearest(name, [...Object.keys(COMMANDS), '--help', '--version']);
    const file = /\.ya?ml$/.test(name) ? `to run a stack file: swarmwire run ${name}` : undefined;
    throw new BadInput(
      `unknown ${what} ${name}`,
      file ?? (meant === undefined ? 'swarmwire --help lists the commands' : `did you mean ${meant}?`),
    );
  }
  const command = await COMMANDS[name].load();
  if ((rest.includes('--help') || rest.includes('-h')) && !command.own?.(rest)) {
    terminal.out(command.help);
    return 0;
  }
  return command.run(rest, terminal);
}

function isCommand(name: string): name is CommandName {
  return Object.hasOwn(COMMANDS, name);
}

/** A sentence for what a person can mend; a stack trace for what only we can. */
function explain(error: unknown, args: readonly string[], terminal: Terminal): number {
  if (error instanceof StackFileError) {
    terminal.err(error.message);
    return BAD_INPUT;
  }
  if (error instanceof BadInput || error instanceof CaptureFileError) {
    terminal.err(`swarmwire: ${error.message}`);
    if (error instanceof BadInput && error.hint) terminal.err(`hint: ${error.hint}`);
    return BAD_INPUT;
  }
  if (error instanceof Error && error.name === 'EngineMemoryError') {
    terminal.err(`swarmwire: ${error.message}`);
    terminal.err('hint: raise the limit, or leave it out: ulimit -v unlimited');
    return BAD_INPUT;
  }
  terminal.err(`swarmwire ${version()} failed at "${args.join(' ')}"; this is a fault of its own:`);
  terminal.err(error instanceof Error ? (error.stack ?? error.message) : String(error));
  return 1;
}

// Whoever reads our output may stop early (`swarmwire run … | head`): no fault of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit();
});
const args = process.argv.slice(2);
const terminal = processTerminal();
process.exitCode = await main(args, terminal).catch((error: unknown) => explain(error, args, terminal));

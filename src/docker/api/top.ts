/** `docker top`: the container's processes as `ps` on its node shows them, with the columns that it is asked for. */

import type { RunningProcess } from '../../programs/index.js';
import type { World } from '../world.js';
import { timeText } from './context.js';
import { ApiError } from './errors.js';

interface Line extends RunningProcess {
  parent: number;
  /** HH:MM */
  begun: string;
}

/** A column's title and text by its keyword (ps(1), standard format specifiers). */
const COLUMNS: Record<string, [title: string, text: (line: Line) => string]> = {
  uid: ['UID', () => 'root'],
  user: ['USER', () => 'root'],
  pid: ['PID', ({ pid }) => String(pid)],
  ppid: ['PPID', ({ parent }) => String(parent)],
  c: ['C', () => '0'],
  stime: ['STIME', ({ begun }) => begun],
  start: ['START', ({ begun }) => begun],
  tty: ['TTY', () => '?'],
  time: ['TIME', () => '00:00:00'],
  cmd: ['CMD', ({ command }) => command],
  args: ['COMMAND', ({ command }) => command],
  command: ['COMMAND', ({ command }) => command],
  comm: ['COMMAND', ({ command }) => command.split(' ')[0]?.split('/').pop() ?? ''],
  '%cpu': ['%CPU', () => '0.0'],
  '%mem': ['%MEM', () => '0.0'],
  vsz: ['VSZ', () => '0'],
  rss: ['RSS', () => '0'],
  stat: ['STAT', () => 'Ss'],
};
const FULL = 'uid,pid,ppid,c,stime,tty,time,cmd';
const OF_USER = 'user,pid,%cpu,%mem,vsz,rss,tty,stat,start,time,command';

/** `first`: the number that the node knows the container's first process by. */
export function topJson(world: World, processes: readonly RunningProcess[], first: number, args: string) {
  const columns = columnsOf(args).map((keyword) => {
    const column = Object.hasOwn(COLUMNS, keyword) ? COLUMNS[keyword] : undefined;
    if (!column) throw new ApiError(500, `Error running ps: error: unknown user-defined format specifier "${keyword}"`);
    return column;
  });
  const lines = processes.map((process, i): Line => {
    const begun = timeText(world.at(process.started)).slice(11, 16);
    return { ...process, pid: first + i, parent: i === 0 ? first - 1 : first, begun };
  });
  return {
    Titles: columns.map(([title]) => title),
    Processes: lines.map((line) => columns.map(([, text]) => text(line))),
  };
}

function columnsOf(args: string): string[] {
  const [, chosen] = /-?o[ =]?([\w%,]+)$/.exec(args) ?? [];
  if (chosen !== undefined) {
    const keywords = chosen.split(',');
    if (!keywords.includes('pid')) throw new ApiError(500, "Couldn't find PID field in ps output");
    return keywords;
  }
  return (/^-?(?:aux|u)/.test(args) ? OF_USER : FULL).split(',');
}

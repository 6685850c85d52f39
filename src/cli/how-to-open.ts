/** The commands with which a run's captures are opened. */

import type { RunReport } from './run-report.js';

/**
 * TCP ports that Wireshark takes for another protocol's, though web services like them (`tshark -G decodes`): it must be told
 * that HTTP is spoken there.
 */
const CLAIMED = new Set([
  1080, 1099, 1433, 3002, 3003, 3333, 4002, 5000, 5555, 7000, 8004, 8009, 8010, 8023, 8085, 9000, 9999, 10000,
]);

export function howToOpen(report: RunReport): string[] {
  const commands = commandsOf(report);
  const { keys } = report.captures;
  if (keys === undefined) return commands;
  const { directory, associations } = keys;
  return [
    ...commands.map((command) => `WIRESHARK_CONFIG_DIR=${quoted(directory)} ${command}`),
    `(${directory} holds the keys of ${associations} security associations: with them ESP is read, without them its outside)`,
  ];
}

function commandsOf({ captures, stack, flows }: RunReport): string[] {
  const file = captures.files[0]?.path;
  if (file === undefined) return [];
  const asked = new Set(
    flows.filter(({ kind }) => kind === 'http').map(({ to }) => Number(to.slice(to.lastIndexOf(':') + 1))),
  );
  const ports = stack.services
    .flatMap((service) => service.ports)
    .filter(({ published, protocol }) => protocol === 'tcp' && CLAIMED.has(published) && asked.has(published))
    .map(({ published }) => published);
  const decode = ports.map((port) => ` -d tcp.port==${port},http`).join('');
  // The one that tells most: whoever asked, at its first interface.
  const [asker] = flows.map(({ from }) => from);
  const tap = captures.interfaces.find(({ name, frames }) => frames > 0 && name.startsWith(`${asker}/host/`))?.name;
  if (captures.format === 'pcap') {
    const path = captures.files.find((one) => one.tap === tap)?.path ?? file;
    return [`wireshark${decode} ${quoted(path)}`];
  }
  const whole = `wireshark${decode} ${quoted(file)}`;
  if (tap === undefined) return [whole];
  return [whole, `tshark -r ${quoted(file)}${decode} -Y 'frame.interface_name == "${tap}"'`];
}

/** As a shell wants it. */
function quoted(path: string): string {
  return /^[\w./@-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}

/** Ports by their names in /etc/services (those that people meet), as tools show them without `-n`. */

const NAMES: Record<number, string> = {
  20: 'ftp-data',
  21: 'ftp',
  22: 'ssh',
  23: 'telnet',
  25: 'smtp',
  53: 'domain',
  67: 'bootps',
  68: 'bootpc',
  80: 'http',
  110: 'pop3',
  123: 'ntp',
  143: 'imap2',
  161: 'snmp',
  179: 'bgp',
  389: 'ldap',
  443: 'https',
  993: 'imaps',
  995: 'pop3s',
  2049: 'nfs',
  3306: 'mysql',
  5432: 'postgresql',
  5672: 'amqp',
  6379: 'redis',
  8080: 'http-alt',
};

/** Undefined: it has none, or none of that protocol. */
export function portName(port: number, protocol: string): string | undefined {
  const name = NAMES[port];
  if (name === undefined) return undefined;
  return protocol === 'udp' && ![53, 67, 68, 123, 161, 2049].includes(port) ? undefined : name;
}

export function portNumber(name: string): number | undefined {
  const found = Object.entries(NAMES).find(([, one]) => one === name);
  return found ? Number(found[0]) : undefined;
}

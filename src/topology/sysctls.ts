/** Sysctls of a container's own namespace that change where its packets go, by their names in the engine. */
export const NET_SYSCTLS = { 'net.ipv4.ip_forward': 'forward' } as const;

export function isNetSysctl(name: string): name is keyof typeof NET_SYSCTLS {
  return Object.hasOwn(NET_SYSCTLS, name);
}

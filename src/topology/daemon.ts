/** A node's daemon.json (dockerd's daemon/config/config.go): the keys that bear on networks, by their own names. */

export interface AddressPool {
  /** CIDR */
  base: string;
  /** Prefix length of the subnets cut from it. */
  size: number;
}

export interface DaemonConfig {
  /** docker0's address and subnet. */
  bip?: string;
  /** The part of docker0's subnet that containers get addresses from. */
  'fixed-cidr'?: string;
  /** Of docker0 and its containers. */
  mtu?: number;
  /** Of containers on docker0, instead of docker0's own address. */
  'default-gateway'?: string;
  dns?: string[];
  'dns-search'?: string[];
  'dns-opts'?: string[];
  'default-address-pools'?: AddressPool[];
  'userland-proxy'?: boolean;
  /** May containers on docker0 talk to each other? */
  icc?: boolean;
  /** Where ports are published that name no address of the node. */
  ip?: string;
  'ip-forward'?: boolean;
  iptables?: boolean;
  /** Do containers on docker0 masquerade? */
  'ip-masq'?: boolean;
}

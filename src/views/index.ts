/** What the tools of a node would print: a function a command, rendered from the engine's tables. */

export { brctlShow, brctlShowmacs } from './brctl.js';
export { bridgeFdb } from './bridge-fdb.js';
export { bridgeLink } from './bridge-link.js';
export { conntrackList } from './conntrack.js';
export { conntrackEvents } from './conntrack-events.js';
export { ipAddr } from './ip-addr.js';
export { ipLink } from './ip-link.js';
export { ipNeigh } from './ip-neigh.js';
export { ipRoute } from './ip-route.js';
export { ipRoute6 } from './ip-route6.js';
export { ipXfrmPolicy, ipXfrmState, xfrmStat } from './ip-xfrm.js';
export { iptablesList, iptablesRules, listedChains } from './iptables-list.js';
export { ip6tablesSave, iptablesSave } from './iptables-save.js';
export { ipvsadm, ipvsadmStats } from './ipvsadm.js';
export { ipvsadmConnections } from './ipvsadm-connections.js';

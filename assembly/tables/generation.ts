// What an established flow's way rests on, as numbers that grow with every change. A flow of the flow table
// (assembly/flowtable) is good for as long as both stand where they stood when its way was recorded.
//
// Whoever writes a table need not remember this: pools and indexes are told at their making what their records are
// (`Of`), and say so themselves when a record comes or goes. A field that changes in place does by `changed` or
// `linksChanged`; JavaScript's writes to records (src/engine/memory.ts) do by `changed`.

import { settle } from "../flowtable/track";

/** What a table's records are to the flows that pass by them. */
export enum Of {
  /** Rules, routes, services, devices, sysctls: any of them may send any packet another way. */
  CONFIGURATION,
  /** Who is behind which port and MAC: neighbours and forwarding databases. */
  LINKS,
  /** Connections, frames, sockets: what passes. No flow's way changes when one comes; one that goes is told by its stamp. */
  TRAFFIC,
}

export let generation: u32 = 1;
export let linksGeneration: u32 = 1;

/** Call before the change: what is counted for the ways as they were goes to records that still stand. */
export function changed(): void {
  settle();
  generation++;
}

export function linksChanged(): void { linksGeneration++; }

// @ts-ignore: decorator
@inline
export function touched(kind: Of): void {
  if (kind == Of.TRAFFIC) return;
  if (kind == Of.LINKS) linksChanged();
  else changed();
}

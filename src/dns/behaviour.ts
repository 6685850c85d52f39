/** In what the embedded server of one engine version differs from another's. */

export interface Behaviour {
  /** A known name without an address of the family that was asked for has an empty answer. False: AAAA on networks without IPv6 only. */
  emptyIsKnown: boolean;
  /** A PTR query for something else than an address is handed on. False: it has no answer. */
  foreignPtrIsForwarded: boolean;
  /** Without an answer from anywhere the client is told so (SERVFAIL). False: it waits in vain. */
  answersFailures: boolean;
  /** The last server's error is handed to the client. */
  passesLastFailure: boolean;
  /** Any answer but SERVFAIL and REFUSED ends the search. False: only success, or an authoritative NXDOMAIN. */
  takesErrors: boolean;
  /** An answer's id must be the query's. */
  checksResponses: boolean;
  /** Answers over UDP may be longer than the client said. */
  readsLong: boolean;
  /** Names in an answer that is too long are compressed before records are left out. */
  compressesLong: boolean;
  /** A query that finds too many under way waits for its turn. False: that server is passed over. */
  waitsForRoom: boolean;
  /** Servers that the node asks are asked for containers without a way out too. */
  asksFromInternal: boolean;
}

/** libnetwork as of docker 20.10.24. */
const ENGINE_20: Behaviour = {
  emptyIsKnown: false,
  foreignPtrIsForwarded: false,
  answersFailures: false,
  passesLastFailure: true,
  takesErrors: false,
  checksResponses: false,
  readsLong: false,
  compressesLong: false,
  waitsForRoom: false,
  asksFromInternal: true,
};

/** moby's daemon/libnetwork as of 2026. */
const ENGINE_28: Behaviour = {
  emptyIsKnown: true,
  foreignPtrIsForwarded: true,
  answersFailures: true,
  passesLastFailure: false,
  takesErrors: true,
  checksResponses: true,
  readsLong: true,
  compressesLong: true,
  waitsForRoom: true,
  asksFromInternal: false,
};

export function behaviourOf(engine: string): Behaviour {
  return engine.startsWith('20.') ? ENGINE_20 : ENGINE_28;
}

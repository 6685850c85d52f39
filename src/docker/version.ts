/** Versions that the engine answers with. Clients speak any version between the two, and newer ones come down to the first. */
export const API_VERSION = '1.41';
export const MIN_API_VERSION = '1.24';
/** The newest that a client may ask for by name; its fields that 1.41 does not have are left alone. */
export const MAX_API_VERSION = '1.52';
export const ENGINE_VERSION = '20.10.24';

/**
 * The schemas, by the names of the validators that scripts/build-validators.mjs makes of them. Nothing of this folder is part of a
 * program: the build reads it.
 */
export { composeSchema as validateFile } from './compose.js';
export { swarmwireSchema as validateSection } from './swarmwire.js';

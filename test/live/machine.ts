/** Can this machine compare with its kernel? Asked once a test file; nothing stays behind. */

import { whyNot } from '../../src/cli/live/capabilities.js';
import { removeOwn } from '../../src/cli/live/namespaces.js';

function ask(): string | undefined {
  try {
    return whyNot();
  } finally {
    if (process.platform === 'linux') removeOwn();
  }
}

/** One sentence, or undefined: it can. */
export const skipped = ask();
if (skipped !== undefined) console.info(`skipped: ${skipped}`);

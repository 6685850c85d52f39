#!/usr/bin/env node
/**
 * Where the command begins. Its modules are in a few files (scripts/bundle-command.mjs), which load in a fraction of the time. Drivers of
 * a third party import ours one by one, and are to meet the same ones.
 */

const BUNDLE = '../bundled/swarmwire.js';
const MODULES = './swarmwire.js';

const driven = process.argv.some((arg) => /^--driver(=|$)/.test(arg));
await import(driven ? MODULES : BUNDLE);

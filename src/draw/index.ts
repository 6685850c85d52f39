/** A topology as a picture that a person reads: Mermaid for Markdown, SVG for everything else. */

export { mermaid } from './mermaid.js';
export { type Picture, pictureOf } from './picture.js';
export { svg } from './svg.js';

/** A colour a network, the same in both kinds of drawing. Hues after Okabe and Ito: told apart by colour-blind readers, too. */

import type { Picture } from './picture.js';

export interface Colour {
  fill: string;
  stroke: string;
}

const COLOURS: readonly Colour[] = [
  { fill: '#e3f1fb', stroke: '#0072b2' },
  { fill: '#fdeedd', stroke: '#b86e00' },
  { fill: '#dff3ec', stroke: '#00805f' },
  { fill: '#f8e6f0', stroke: '#a8487c' },
  { fill: '#fbe4d9', stroke: '#b94a00' },
  { fill: '#e6f5fc', stroke: '#2a7fa8' },
  { fill: '#f7f3d0', stroke: '#857a00' },
];
const NONE: Colour = { fill: '#f4f4f4', stroke: '#777777' };

/** By the name of a network; more networks than colours share them. */
export function colourOf({ captions }: Picture): (network: string | undefined) => Colour {
  const networks = captions.flatMap(({ network }) => (network === undefined ? [] : [network]));
  return (network) => COLOURS[networks.indexOf(network ?? '') % COLOURS.length] ?? NONE;
}

/** The shape of `x-swarmwire: traffic`. */
import type { SchemaObject } from 'ajv';
import { at, map, number, text, textOrTexts } from './parts.js';

const flow = { from: text, to: text, at };
/** From Ethernet's shortest frame to the longest datagram, frame check sequence not included. */
const frameSize = number(60, 65_549);
const destination = { required: ['to'] };

export const traffic: SchemaObject = {
  type: 'array',
  items: map(
    {
      ping: map({ ...flow, count: number(1, 100_000), size: number(0, 65_507) }, destination),
      http: map(
        {
          ...flow,
          path: { type: 'string', pattern: '^/[!-~]*$', hint: 'a path begins with /' },
          requests: number(1, 1_000_000),
          hold: {
            type: 'number',
            minimum: 0,
            maximum: 86_400_000,
            hint: 'milliseconds that the connection stays open, half the request sent',
          },
        },
        destination,
      ),
      udp: map({ ...flow, size: number(0, 65_507), datagrams: number(1, 1_000_000) }, destination),
      load: map(
        {
          ...flow,
          from: { ...textOrTexts, minItems: 1 },
          protocol: { type: 'string', enum: ['tcp', 'udp'] },
          flows: number(1, 4_000_000),
          packets: number(1, 1_000_000_000),
          size: frameSize,
          imix: {
            type: ['boolean', 'object'],
            patternProperties: { '^[1-9][0-9]*$': number(1, 1_000_000) },
            additionalProperties: false,
            minProperties: 1,
            maxProperties: 64,
            keyHint: 'a size is a number of bytes',
            hint: 'write true, or a map from a size to how many have it: { 64: 7, 590: 4, 1514: 1 }',
          },
          rate: { type: ['number', 'string'], hint: 'write rate: 100000pps, or rate: 1Gbps' },
          arrivals: { type: 'string', enum: ['constant', 'poisson'] },
          answered: { type: 'boolean' },
          sources: { type: 'string', hint: 'write a subnet that nobody has: sources: 198.18.0.0/15' },
        },
        destination,
      ),
    },
    { minProperties: 1, maxProperties: 1, hint: 'write one flow an item: - http: {from: client, to: node1:8080}' },
  ),
  hint: 'write a list: - http: {from: client, to: node1:8080}',
};

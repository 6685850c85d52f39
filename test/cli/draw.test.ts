/** `swarmwire draw`, from the file to the pictures. */

import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { EXAMPLES, swarmwire } from './command.js';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'swarmwire-draw-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

test('writes both pictures, and says where', () => {
  const { code, out, err } = swarmwire(['draw', join(EXAMPLES, 'three-tier.yml'), '--out', 'pictures'], {
    cwd: folder,
  });
  expect([code, err, out]).toEqual([0, '', 'pictures/three-tier.svg\npictures/three-tier.mmd\n']);
  expect(readdirSync(join(folder, 'pictures')).sort()).toEqual(['three-tier.mmd', 'three-tier.svg']);
  expect(readFileSync(join(folder, 'pictures', 'three-tier.svg'), 'utf8')).toContain('>vxlan0 VNI 4097</text>');
  expect(readFileSync(join(folder, 'pictures', 'three-tier.mmd'), 'utf8')).toContain('flowchart LR');
});

test('refuses what it cannot draw, and leaves nothing', () => {
  writeFileSync(join(folder, 'broken.yml'), 'services: { web: { imago: nginx } }\n');
  const broken = swarmwire(['draw', 'broken.yml', '--out', 'none'], { cwd: folder });
  expect(broken.code).toBe(2);
  expect(broken.err).toMatch(/broken\.yml:1:\d+/);
  expect(swarmwire(['draw'], { cwd: folder })).toMatchObject({ code: 2, out: '' });
  expect(existsSync(join(folder, 'none'))).toBe(false);
  writeFileSync(join(folder, 'taken'), '');
  const taken = swarmwire(['draw', join(EXAMPLES, 'three-tier.yml'), '--out', 'taken'], { cwd: folder });
  expect([taken.code, taken.out]).toEqual([2, '']);
});

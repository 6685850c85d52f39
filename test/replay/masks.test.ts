import { describe, expect, test } from 'vitest';
import { layersOf } from '../../src/dissect/layers.js';
import { DrawnValues, judge, type MaskRules } from '../../src/replay/masks.js';
import { changed, get16, put16, tapOf, withChecksums } from './recorded.js';

const eth0 = tapOf('S6-ingress', 'node1.host/eth0').frames.map(({ data }) => data);
/** client → node1, TCP. */
const tcp = eth0[2] as Uint8Array;
/** node1 → node2: VXLAN with the SYN inside. */
const vxlan = eth0[3] as Uint8Array;
const decode = (bytes: Uint8Array) => ({ bytes, layers: layersOf(bytes) });
const verdict = (real: Uint8Array, ours: Uint8Array, rules: MaskRules = {}, drawn = new DrawnValues()) =>
  judge(decode(real), decode(ours), rules, drawn);

const SOURCE_PORT = 34;
const IP_ID = 18;

describe('the source port of VXLAN', () => {
  const withPort = (port: number) => withChecksums(changed(vxlan, (bytes) => put16(bytes, SOURCE_PORT, port)));

  test.each([32768, 40000, 60998])('may be %i', (port) => {
    expect(verdict(vxlan, withPort(port))).toEqual({ kind: 'masked', masks: ['vxlan-source-port'] });
  });

  test.each([32767, 60999, 61000, 0, 4789, 65535])(
    'may not be %i: the kernel scales its hash into 32768 to 60998',
    (port) => {
      const result = verdict(vxlan, withPort(port));
      expect(result).toEqual({ kind: 'different', words: [`udp.srcport of VXLAN: ${port} is outside 32768 to 60998`] });
    },
  );

  test('has the range that the sender was given', () => {
    expect(verdict(vxlan, withPort(1500), { localPorts: [1024, 2000] }).kind).toBe('masked');
    expect(verdict(vxlan, withPort(40000), { localPorts: [1024, 2000] }).kind).toBe('different');
  });

  test('must be the same for all of a flow, at every tap, and may be another for another flow', () => {
    const drawn = new DrawnValues();
    expect(verdict(vxlan, withPort(40000), {}, drawn).kind).toBe('masked');
    expect(verdict(vxlan, withPort(40000), {}, drawn).kind).toBe('masked');
    expect(verdict(vxlan, withPort(40001), {}, drawn)).toEqual({
      kind: 'different',
      words: ['udp.srcport of VXLAN: one flow has two, 40000 and 40001'],
    });
    const otherFlow = (bytes: Uint8Array) => {
      put16(bytes, 84, 55555);
      withChecksums(bytes, 64);
    };
    const real = withChecksums(changed(vxlan, otherFlow));
    const ours = withChecksums(changed(withPort(40001), otherFlow));
    expect(verdict(real, ours, {}, drawn).kind).toBe('masked');
  });

  test('is covered by the outer UDP checksum, which must be right', () => {
    const ours = changed(vxlan, (bytes) => put16(bytes, SOURCE_PORT, 40000));
    const result = verdict(vxlan, ours);
    expect(result.kind).toBe('different');
    expect(JSON.stringify(result)).toMatch(/udp\.checksum: 0x[0-9a-f]{4} is wrong for our frame/);
  });

  test('is not masked in other UDP', () => {
    const other = withChecksums(changed(vxlan, (bytes) => put16(bytes, 36, 4790)));
    const ours = withChecksums(changed(other, (bytes) => put16(bytes, SOURCE_PORT, 40000)));
    expect(verdict(other, ours).kind).toBe('different');
  });

  test('hides no other difference', () => {
    const ours = withChecksums(
      changed(vxlan, (bytes) => {
        put16(bytes, SOURCE_PORT, 40000);
        bytes[48] = 1;
      }),
    );
    expect(verdict(vxlan, ours)).toEqual({ kind: 'different', words: ['vxlan.vni: real 4096, ours 4097'] });
  });
});

describe('the outer IP id', () => {
  test('may be anything, with its header checksum right', () => {
    const ours = withChecksums(changed(vxlan, (bytes) => put16(bytes, IP_ID, 0x1234)));
    expect(verdict(vxlan, ours)).toEqual({ kind: 'masked', masks: ['outer-ip-id'] });
  });

  test('with a header checksum that was left as it was, is different', () => {
    const ours = changed(vxlan, (bytes) => put16(bytes, IP_ID, 0x1234));
    const result = verdict(vxlan, ours);
    expect(result.kind).toBe('different');
    expect(JSON.stringify(result)).toMatch(/ip\.checksum: 0x[0-9a-f]{4} is wrong for our frame/);
  });

  test('of a real frame with a wrong header checksum proves nothing', () => {
    const real = changed(vxlan, (bytes) => put16(bytes, 24, 0x1111));
    const ours = withChecksums(changed(vxlan, (bytes) => put16(bytes, IP_ID, 0x1234)));
    expect(JSON.stringify(verdict(real, ours))).toMatch(/wrong for the real frame/);
  });

  test('of the packet inside is not masked', () => {
    const ours = changed(vxlan, (bytes) => {
      put16(bytes, 50 + IP_ID, 1);
      withChecksums(bytes, 64);
      withChecksums(bytes);
    });
    expect(verdict(vxlan, ours).kind).toBe('different');
  });

  test('of a packet without a tunnel is not masked', () => {
    const ours = withChecksums(changed(tcp, (bytes) => put16(bytes, IP_ID, 1)));
    expect(verdict(tcp, ours).kind).toBe('different');
  });

  test('and the source port are two masks of one frame; a checksum alone is none', () => {
    const ours = withChecksums(
      changed(vxlan, (bytes) => {
        put16(bytes, IP_ID, 0x1234);
        put16(bytes, SOURCE_PORT, 45678);
      }),
    );
    const result = verdict(vxlan, ours);
    expect(result.kind === 'masked' && [...result.masks].sort()).toEqual(['outer-ip-id', 'vxlan-source-port']);
    const checksum = changed(vxlan, (bytes) => put16(bytes, 40, get16(bytes, 40) ^ 1));
    expect(verdict(vxlan, checksum).kind).toBe('different');
  });

  test('is different where the mask is not allowed', () => {
    const ours = withChecksums(changed(vxlan, (bytes) => put16(bytes, IP_ID, 0x1234)));
    const result = verdict(vxlan, ours, { allowed: new Set(['vxlan-source-port']) });
    expect(result.kind).toBe('different');
    expect(JSON.stringify(result)).toMatch(/ip\.id: real/);
  });
});

describe('the IP id of a packet that our own stack made', () => {
  const ownStack = () => true;
  const withId = (frame: Uint8Array, id: number) => withChecksums(changed(frame, (bytes) => put16(bytes, IP_ID, id)));
  const reply = changed(tcp, (bytes) => {
    bytes[20] = 0; // no DF: the kernel draws
    withChecksums(bytes);
  });

  test('is masked only for such packets', () => {
    expect(verdict(reply, withId(reply, 77), { ownStack })).toEqual({ kind: 'masked', masks: ['own-ip-id'] });
    expect(verdict(reply, withId(reply, 77), { ownStack: () => false }).kind).toBe('different');
  });

  test('is zero where the kernel leaves it zero: in a packet with DF that no socket sent', () => {
    const reset = withId(tcp, 0);
    expect(verdict(reset, withId(reset, 77), { ownStack }).kind).toBe('different');
  });

  test('stays the same along the path of one packet', () => {
    const drawn = new DrawnValues();
    expect(verdict(reply, withId(reply, 77), { ownStack }, drawn).kind).toBe('masked');
    expect(verdict(reply, withId(reply, 77), { ownStack }, drawn).kind).toBe('masked');
    expect(verdict(reply, withId(reply, 78), { ownStack }, drawn).kind).toBe('different');
  });

  test('inside VXLAN, the outer UDP checksum covers it', () => {
    const real = changed(vxlan, (bytes) => {
      bytes[50 + 20] = 0;
      withChecksums(bytes, 64);
      withChecksums(bytes);
    });
    const inner = (outerRight: boolean) =>
      changed(real, (bytes) => {
        put16(bytes, 50 + IP_ID, 4321);
        withChecksums(bytes, 64);
        if (outerRight) withChecksums(bytes);
        // The sum over id and header checksum together is zero, so an honest kernel leaves the outer checksum: break it.
        else put16(bytes, 40, get16(bytes, 40) ^ 0x0100);
      });
    expect(verdict(real, inner(true), { ownStack })).toEqual({ kind: 'masked', masks: ['own-ip-id'] });
    expect(verdict(real, inner(false), { ownStack }).kind).toBe('different');
  });
});

describe('a port that NAT drew', () => {
  const withPort = (frame: Uint8Array, port: number) =>
    withChecksums(changed(frame, (bytes) => put16(bytes, SOURCE_PORT, port)));
  const drawn = (_protocol: string, port: number) => port === 41001;

  test('is masked only where no endpoint chose it', () => {
    expect(verdict(tcp, withPort(tcp, 5000), { drawn })).toEqual({ kind: 'masked', masks: ['nat-port'] });
    expect(verdict(tcp, withPort(tcp, 5000), { drawn: () => false }).kind).toBe('different');
    expect(verdict(tcp, withPort(tcp, 5000)).kind).toBe('different');
  });

  test('stays in its class', () => {
    expect(verdict(tcp, withPort(tcp, 1023), { drawn })).toMatchObject({ kind: 'different' });
    expect(verdict(tcp, withPort(tcp, 1024), { drawn })).toMatchObject({ kind: 'masked' });
  });

  test('is one port for one connection, and no other connection has it', () => {
    const values = new DrawnValues();
    const any = { drawn: () => true };
    const other = withPort(tcp, 41002);
    expect(verdict(tcp, withPort(tcp, 5000), any, values).kind).toBe('masked');
    expect(verdict(tcp, withPort(tcp, 5001), any, values).kind).toBe('different');
    expect(verdict(other, withPort(other, 5000), any, values).kind).toBe('different');
    expect(verdict(other, withPort(other, 5002), any, values).kind).toBe('masked');
  });

  test('needs a right TCP checksum', () => {
    const ours = changed(tcp, (bytes) => put16(bytes, SOURCE_PORT, 5000));
    expect(verdict(tcp, ours, { drawn }).kind).toBe('different');
  });
});

describe('a checksum that the real capture holds as a bare pseudo-header sum', () => {
  /** The kernel's csum_partial over the pseudo header, folded, not complemented. */
  const partial = changed(tcp, (bytes) => {
    let sum = 6 + (get16(bytes, 16) - 20);
    for (let at = 26; at < 34; at += 2) sum += get16(bytes, at);
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
    put16(bytes, 50, sum);
  });

  test('is masked when ours is right', () => {
    expect(verdict(partial, tcp)).toEqual({ kind: 'masked', masks: ['partial-checksum'] });
  });

  test('is identical when ours is the same', () => {
    expect(verdict(partial, partial)).toEqual({ kind: 'identical' });
  });

  test('does not excuse a wrong one of ours', () => {
    const wrong = changed(tcp, (bytes) => put16(bytes, 50, get16(bytes, 50) ^ 1));
    expect(verdict(partial, wrong).kind).toBe('different');
    expect(verdict(tcp, partial).kind).toBe('different');
  });

  test('is what a real lo has', () => {
    // S3-publish, node1.host.lo: a SYN from 127.0.0.1:47814 to :8000, whose checksum is fe30.
    const pseudo = 0x7f00 + 1 + 0x7f00 + 1 + 6 + 40;
    expect((pseudo & 0xffff) + (pseudo >>> 16)).toBe(0xfe30);
  });
});

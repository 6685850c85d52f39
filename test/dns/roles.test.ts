/** The two ready roles in their classic set-ups, and what Wireshark reads on a container's lo. */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { pcapHeader, pcapRecord } from '../../src/capture/pcap.js';
import { parseStackFile } from '../../src/stack-file/index.js';
import { Swarm } from '../../src/swarm/swarm.js';
import { listenRelay, type RelayTarget } from '../../src/traffic/relay.js';
import { pair, SERVER } from '../engine/pair.js';
import { expectConserved } from '../engine/watch.js';

const SECOND = 1_000_000_000;
const tshark = spawnSync('tshark', ['--version']).status === 0;
if (!tshark && process.env.CI) throw new Error('tshark is not installed, and CI must not skip what needs it');
const directory = mkdtempSync(join(tmpdir(), 'swarmwire-'));
afterAll(() => rmSync(directory, { recursive: true }));

async function exampleOf(name: string): Promise<Swarm> {
  const text = readFileSync(new URL(`../../examples/${name}.yml`, import.meta.url), 'utf8');
  return Swarm.create(parseStackFile(text, { file: name }).spec, { seed: 1 });
}

describe('a DNS container on docker0', () => {
  test('finds NAME.docker and host names by itself, and asks the node’s server for the rest', async () => {
    const swarm = await exampleOf('dns-on-docker0');
    for (const tap of ['node1/ct-cli/eth0', 'client/host/eth0']) swarm.tap(tap);
    const reports = swarm.play();
    expect(reports.map(({ ok, lookup }) => [ok, lookup?.addresses, lookup?.server])).toEqual([
      [true, ['172.17.0.3'], '172.17.0.2'],
      [true, ['172.17.0.2'], '172.17.0.2'],
      [true, ['203.0.113.10'], '172.17.0.2'],
    ]);
    // Two queries and two answers a name, all of them on docker0; outside only what was asked for outside.
    const udp = (tap: string) => swarm.frames(tap).filter((frame) => frame.protocols.includes('udp'));
    expect(udp('node1/ct-cli/eth0')).toHaveLength(12);
    expect(udp('client/host/eth0')).toHaveLength(4);
  });

  test('says of its own domain what is not there, and asks nobody', async () => {
    const swarm = await exampleOf('dns-on-docker0');
    swarm.tap('client/host/eth0');
    let failure: string | undefined;
    swarm.names.find(swarm.namespace('node1/ct-cli'), 'nobody.docker', 0, (found) => {
      failure = found.failure;
    });
    swarm.engine.run(SECOND, swarm.sockets.handle);
    expect(failure).toBe('nobody.docker does not exist (NXDOMAIN)');
    expect(swarm.frames()).toEqual([]);
  });
});

describe('a TCP relay', () => {
  test('leads from a port of one node to a port of another, by a connection of its own', async () => {
    const swarm = await exampleOf('relay');
    for (const tap of ['node1/ct-relay/eth0', 'node2/ct-web/eth0']) swarm.tap(tap);
    for (const report of swarm.play()) expect(report).toMatchObject({ ok: true, answeredBy: 'web on node2' });
    const syns = swarm
      .frames()
      .filter((frame) => frame.field('tcp.flags') === '0x002')
      .map((frame) => `${frame.tap} ${frame.field('ip.src')} > ${frame.field('ip.dst')}:${frame.field('tcp.dstport')}`);
    const once = [
      'node1/ct-relay/eth0 192.168.99.1 > 172.17.0.2:12345',
      'node1/ct-relay/eth0 172.17.0.2 > 192.168.99.111:8080',
      // Masqueraded: the web container sees node1.
      'node2/ct-web/eth0 192.168.99.110 > 172.17.0.2:80',
    ];
    expect(syns).toEqual([...once, ...once]);
  });

  /** A client and a server; the relay runs on the server, and leads to its port 9000. */
  async function relayed(find: RelayTarget['find']) {
    const world = await pair();
    listenRelay(world.sockets, world.server, 9001, { port: 9000, find });
    const client = { got: 0, ended: false, failed: '' };
    const connection = world.sockets.connect(world.client, { address: SERVER, port: 9001 }, world.engine.now);
    if (!connection) throw new Error('no route');
    connection.onData = (piece) => {
      client.got += piece.length;
    };
    connection.onEnd = () => {
      client.ended = true;
    };
    connection.onFailed = (reason) => {
      client.failed = reason;
    };
    return { ...world, connection, client };
  }

  test('carries many bytes both ways, each goodbye behind the last byte, and forgets both ends', async () => {
    const server = { got: 0, ended: false };
    const { sockets, engine, connection, client, ...world } = await relayed((at, done) => done(SERVER, at + 1_000_000));
    sockets.listen(world.server, 9000, (accepted, time) => {
      accepted.onData = (piece) => {
        server.got += piece.length;
      };
      accepted.onEnd = () => {
        server.ended = true;
      };
      const at = sockets.after(time);
      for (let i = 0; i < 60; i++) accepted.write(new Uint8Array(50_000), at);
      accepted.shutdown(at);
    });
    connection.onConnected = (time) => {
      const at = sockets.after(time);
      for (let i = 0; i < 20; i++) connection.write(new Uint8Array(50_000), at);
      connection.shutdown(at);
    };
    engine.run(engine.now + 30 * SECOND, sockets.handle);
    expect([client, server]).toEqual([
      { got: 3_000_000, ended: true, failed: '' },
      { got: 1_000_000, ended: true },
    ]);
    expectConserved(engine);
  });

  test('resets the client where the target has no address, and closes where it does not listen', async () => {
    const nowhere = await relayed((at, done) => done(undefined, at));
    nowhere.engine.run(nowhere.engine.now + SECOND, nowhere.sockets.handle);
    expect(nowhere.client).toEqual({ got: 0, ended: false, failed: 'reset' });
    const closed = await relayed((at, done) => done(SERVER, at));
    closed.engine.run(closed.engine.now + SECOND, closed.sockets.handle);
    expect(closed.client).toEqual({ got: 0, ended: true, failed: '' });
  });
});

describe.skipIf(!tshark)('Wireshark (skipped: tshark is not installed)', () => {
  test('reads queries and answers on a container’s lo', { timeout: 60_000 }, async () => {
    const text = `
services:
  web: { image: nginx, deploy: { replicas: 2 } }
  app: { image: node }
x-swarmwire:
  nodes: 1
  traffic:
    - http: { from: app, to: "web:80" }
    - http: { from: app, to: "tasks.web:80" }
    - http: { from: app, to: "www.nowhere.test:80" }
`;
    const swarm = await Swarm.create(parseStackFile(text, { file: 'stack.yml' }).spec, { seed: 1 });
    swarm.tap('node1/task-app.1/lo');
    swarm.play();
    const frames = swarm.frames();
    const path = join(directory, 'lo.pcap');
    writeFileSync(path, Buffer.concat([pcapHeader(), ...frames.map(({ time, data }) => pcapRecord({ time, data }))]));
    const ports = swarm.topology.sandboxes.find(({ task }) => task === 'app.1')?.resolver;
    const fields = [
      'dns.flags',
      'dns.qry.name',
      'dns.qry.type',
      'dns.count.answers',
      'dns.resp.ttl',
      'udp.checksum.status',
      '_ws.expert',
    ];
    const { stdout } = spawnSync(
      'tshark',
      [
        '-r',
        path,
        '-o',
        'udp.check_checksum:TRUE',
        '-d',
        `udp.port==${ports?.udp},dns`,
        '-T',
        'fields',
        ...fields.flatMap((field) => ['-e', field]),
      ],
      { encoding: 'utf8' },
    );
    const good = '1';
    const rows = stdout
      .trimEnd()
      .split('\n')
      .map((line) => line.split('\t'));
    const of = (name: string) => rows.filter(([, asked]) => asked === name);
    expect(of('web').sort()).toEqual([
      ['0x0100', 'web', '1', '0', '', good, ''],
      ['0x0100', 'web', '28', '0', '', good, ''],
      ['0x8180', 'web', '1', '1', '600', good, ''],
      ['0x8180', 'web', '28', '0', '', good, ''],
    ]);
    expect(
      of('tasks.web')
        .map(([flags, , type, answers, ttl]) => [flags, type, answers, ttl])
        .sort(),
    ).toEqual([
      ['0x0100', '1', '0', ''],
      ['0x0100', '28', '0', ''],
      ['0x8180', '1', '2', '600,600'],
      ['0x8180', '28', '0', ''],
    ]);
    expect(
      of('www.nowhere.test')
        .map(([flags]) => flags)
        .sort(),
    ).toEqual(['0x0100', '0x0100', '0x8183', '0x8183']);
    expect(rows).toHaveLength(12);
  });
});

/** Guides, read: blocks, prompts, commands and their output, machines, and two outputs compared. */

import { describe, expect, test } from 'vitest';
import { opensShell } from '../../../src/docker/client.js';
import { compare } from '../../../src/docker/transcript/compare.js';
import { blocksOf, GuideError } from '../../../src/docker/transcript/guide.js';
import { Machines } from '../../../src/docker/transcript/machines.js';
import { plainBlocks } from '../../../src/docker/transcript/plain.js';
import { promptOf } from '../../../src/docker/transcript/prompts.js';
import { stepsOf } from '../../../src/docker/transcript/steps.js';
import { Meanings, plainForm } from '../../../src/docker/transcript/words.js';

const stepsIn = (text: string) => stepsOf(blocksOf(text, 'guide.md'));
const commands = (text: string) => stepsIn(text).map(({ command }) => command);

describe('blocks', () => {
  test('are fenced, indented below a sentence, or in a list', () => {
    expect(
      commands(
        '```bash\ndocker ps\n```\ntext\n\n    $ docker images\nmore text\n\n1. one\n   ~~~\n   $ ip addr\n   ~~~\n',
      ),
    ).toEqual(['docker ps', 'docker images', 'ip addr']);
  });
  test('of other languages hold no commands, nor does text that speaks of them', () => {
    expect(commands('docker run is a command\n```yaml\ndocker: ps\n```\n```json\n$ docker ps\n```\n')).toEqual([
      'docker ps',
    ]);
  });
  test('end at a shorter fence where no right one follows', () => {
    expect(commands('````\n$ docker ps\n```\ntext\n```\n$ docker images\n```\n')).toEqual([
      'docker ps',
      'docker images',
    ]);
  });
  test('an annotation that is none is an error with its place', () => {
    expect(() => blocksOf('a\n<!-- swarmwire: nodes=3 -->\n', 'guide.md')).toThrow(GuideError);
    expect(() => blocksOf('a\n<!-- swarmwire: nodes=3 -->\n', 'guide.md')).toThrow(
      /^guide\.md:2: nodes=3: no such annotation/,
    );
  });
});

describe('prompts', () => {
  test.each([
    ['$ docker ps', 'host', undefined, 'docker ps'],
    ['root@ip-10-0-2-197:~# docker network ls', 'host', 'ip-10-0-2-197', 'docker network ls'],
    ['[root@node1 ~]# ip netns', 'host', 'node1', 'ip netns'],
    ['host1$ sudo weave launch', 'host', 'host1', 'sudo weave launch'],
    ['h2 $ docker ps', 'host', 'h2', 'docker ps'],
    ['root@28841bd02eff:/# ping -c 1 web', 'container', '28841bd02eff', 'ping -c 1 web'],
    ['/ # ip route', 'container', undefined, 'ip route'],
    ['bash-5.1# exit', 'container', undefined, 'exit'],
    ['# ping -c 2 web', 'either', undefined, 'ping -c 2 web'],
  ])('%s', (line, shell, host, typed) => {
    expect(promptOf(line)).toEqual({ shell, typed, ...(host ? { host } : {}) });
  });
  test.each(['# a comment in a script', '64 bytes from 10.0.0.1: seq=0', '$HOME', 'Options:', 'a # b'])(
    '%s is none',
    (line) => {
      expect(promptOf(line)).toBeUndefined();
    },
  );
});

describe('commands', () => {
  test('go on over backslashes, with a remark behind one, and over here-documents', () => {
    expect(commands('```\n$ docker run \\   # why\n  alpine\n$ cat > f <<EOF\na\nEOF\nout\n```\n')).toEqual([
      'docker run \\\n  alpine',
      'cat > f <<EOF\na\nEOF',
    ]);
  });
  test('have the lines behind them for output, without remarks and blank ends', () => {
    const [step] = stepsIn('```\n$ ip route\n\ndefault via 10.0.0.1 dev eth0     <-- the way out\n\n$ ls\n```\n');
    expect(step?.expected).toEqual(['default via 10.0.0.1 dev eth0']);
  });
  test('need no prompt where a block has none', () => {
    expect(stepsIn('```\ndocker rm -f c1\ndocker rm -f c2\n```\n').map(({ expected }) => expected)).toEqual([[], []]);
    expect(stepsIn('```\nping -c 1 web\nPING web (10.0.0.2): 56 data bytes\n```\n')[0]?.expected).toHaveLength(1);
  });
  test('Ctrl-C and Ctrl-P Ctrl-Q are what they are', () => {
    expect(stepsIn('```\n$ ping web\n^C\nCTRL+p CTRL+q\n```\n').map(({ ends }) => ends)).toEqual([
      'interrupt',
      'detach',
    ]);
  });
});

describe('machines', () => {
  const machines = (text: string) => {
    const blocks = blocksOf(text, 'guide.md');
    return new Machines(blocks, stepsOf(blocks), undefined);
  };
  test('have the names of the guide, in the order that their numbers give', () => {
    expect(machines('On **worker2** and **manager1**:\n```\n$ docker ps\n```\n').nodes).toEqual([
      'manager1',
      'node2',
      'worker2',
    ]);
    expect(machines('```\nroot@b:~# ip a\nroot@a:~# ip a\n```\n').nodes).toEqual(['b', 'a', 'node3']);
  });
  test.each([
    ['Run it on **worker1**', 'worker1'],
    ['Execute it from **worker1**, to reach **manager1**', 'worker1'],
    ['We were on **manager1**. Connect to **worker1** and look', 'worker1'],
    ['在worker1，加入群', 'worker1'],
    ['on node 2', 'worker1'],
    ['nothing of the kind', undefined],
  ])('%s', (text, node) => {
    expect(machines('manager1 worker1\n```\n$ docker ps\n```\n').meantBy([text])).toBe(node);
  });
});

describe('a command opens a shell', () => {
  test.each([
    ['run -it alpine', true],
    ['run -i -t --name a --network n alpine ash', true],
    ['container exec -it c1 sh', true],
    ['run -dit --name a alpine', false],
    ['run --rm alpine echo -it', false],
    ['exec c1 ping -t 3 -i 1 web', false],
    ['attach with', true],
    ['attach without', false],
  ])('%s', (line, opens) => {
    expect(opensShell(line.split(' '), (name) => name === 'with')).toBe(opens);
  });
});

describe('output', () => {
  test('is the same but for ids, times, sizes, MAC addresses and addresses', () => {
    const [theirs, ours] = [
      '0836095fee86  alpine  "ash"  7 seconds ago  Up 5 seconds  172.17.0.3/16 02:42:ac:11:00:03 time=0.1 ms',
      'a1dbe7635818   alpine   "ash"   2 hours ago   Up About an hour 172.18.0.9/16 02:42:ac:12:00:09 time=12 ms',
    ];
    expect(plainForm(theirs)).toBe(plainForm(ours));
    expect(plainForm('2/2')).not.toBe(plainForm('1/2'));
    expect(plainForm('10.0.0.0/24')).not.toBe(plainForm('10.0.0.0/16'));
  });
  test('may be left away where the guide says so, and stand in another order', () => {
    const kinds = (theirs: string, ours: string) =>
      compare(theirs.split('\n'), ours.split('\n')).map(({ kind }) => kind);
    expect(kinds('a\n...\nd', 'a\nb\nc\nd')).toEqual(['same', 'elided', 'elided', 'elided', 'same']);
    expect(kinds('a\nb', 'b\na')).toEqual(['same', 'same']);
    expect(kinds('a\nb', 'a\nc')).toEqual(['same', 'theirs', 'ours']);
  });
  test('says what the guide’s ids and addresses mean from then on', () => {
    const meanings = new Meanings();
    meanings.learn('0836095fee86 172.20.0.2', 'a1dbe7635818 172.18.0.2');
    expect(meanings.translate('docker exec 083 ping 172.20.0.2')).toBe('docker exec a1dbe7635818 ping 172.18.0.2');
    expect(meanings.translate('docker exec web ping 172.20.0.3')).toBe('docker exec web ping 172.20.0.3');
  });
});

describe('plain text', () => {
  const read = (text: string) => stepsOf(plainBlocks(text)).map(({ command }) => command);
  test('has commands on lines of their own, without remarks', () => {
    expect(
      read(
        [
          'ip protocol 50 (ESP) traffic is allowed if need create an overlay network with encryption',
          'docker run --entrypoint /bin/bash image_name -c cmd #用来替换',
          'docker network ls',
          'docker run is what starts a container, and more.',
          'docker service create --name web \\',
          '  nginx',
          'cmd',
        ].join('\n'),
      ),
    ).toEqual([
      'docker run --entrypoint /bin/bash image_name -c cmd',
      'docker network ls',
      'docker service create --name web \\\n  nginx',
    ]);
  });
  test('forgets backslashes before options, and says so', () => {
    const blocks = plainBlocks('docker network create \\\n--subnet 10.11.0.0/16\n--opt a=b mine\n');
    expect(stepsOf(blocks).map(({ command }) => command)).toEqual([
      'docker network create \\\n--subnet 10.11.0.0/16 \\\n--opt a=b mine',
    ]);
    expect(blocks[0]?.notes).toEqual(['a backslash is missing at the end of line 2']);
  });
  test('quotes commands in sentences, and names behind a bare rm', () => {
    expect(
      read(
        [
          '可以通过nsenter --net=/var/run/docker/netns/ingress_sbox ipvsadm --list 查看',
          '首先通过docker network rm删除现有的ingress和docker_gwbridge然后再创建',
          'docker swarm mode的host拥有三个网络，一个是bridge network ip,再通过ipvs的规则',
        ].join('\n'),
      ),
    ).toEqual([
      'nsenter --net=/var/run/docker/netns/ingress_sbox ipvsadm --list',
      'docker network rm ingress docker_gwbridge',
    ]);
  });
});

import { describe, expect, it } from 'vitest';
import { read, refusal, service } from './reading.js';

describe('a service', () => {
  it('has one replica on the default network, a virtual IP and no ports, unless the file says otherwise', () => {
    expect(read(service()).spec.services).toEqual([
      {
        name: 'web',
        image: 'nginx',
        mode: 'replicated',
        replicas: 1,
        networks: [{ name: 'default', aliases: [] }],
        endpointMode: 'vip',
        ports: [],
        constraints: [],
      },
    ]);
  });

  it('needs no image when it has a build, nor when it has neither', () => {
    expect(read('services: { web: { build: . }, api: {} }').spec.services.map(({ image }) => image)).toEqual([
      undefined,
      undefined,
    ]);
  });

  it('has as many replicas as it says, none at all included', () => {
    expect(read(service('deploy: { replicas: 0 }')).spec.services[0]?.replicas).toBe(0);
    expect(read(service('deploy: { replicas: "12" }')).spec.services[0]?.replicas).toBe(12);
  });

  it('may be global, and then has no replicas', () => {
    expect(read(service('deploy: { mode: global }')).spec.services[0]?.mode).toBe('global');
    expect(refusal(service('deploy: { mode: global, replicas: 2 }'))).toMatchObject({ line: 4, column: 29 });
  });

  it('cannot be a job yet', () => {
    expect(refusal(service('deploy: { mode: global-job }')).message).toContain(
      '4:21: mode global-job is not supported yet',
    );
  });

  it('cannot publish in ingress mode without a virtual IP', () => {
    const error = refusal(service('ports: ["80:80"]', 'deploy: { endpoint_mode: dnsrr }'));
    expect(error).toMatchObject({ line: 5, column: 30 });
  });
});

describe('placement constraints', () => {
  const constraint = (text: string): string =>
    service('deploy:', '  placement:', '    constraints:', `      - ${text}`);

  it.each([
    ['node.hostname == node1', 'node.hostname==node1'],
    ['node.hostname==node1', 'node.hostname==node1'],
    ['"node.role!=manager"', 'node.role!=manager'],
    ['node.Role == Worker', 'node.role==worker'],
    ['node.labels.zone == a b', 'node.labels.zone==a b'],
    ['node.labels.Com.Example != x', 'node.labels.Com.Example!=x'],
    ['node.id == 2ivku8v2gvtg4', 'node.id==2ivku8v2gvtg4'],
  ])('%s is kept as %s', (written, kept) => {
    expect(read(constraint(written)).spec.services[0]?.constraints).toEqual([kept]);
  });

  it.each([
    ['node.hostname = node1', 'hint: did you mean "node.hostname == node1"?'],
    ['node.hostname === node1', 'is no placement constraint'],
    ['node.hostname', 'is no placement constraint'],
    ['node.hostname ==', 'is no placement constraint'],
    ['node.hostnam == node1', 'hint: did you mean "node.hostname"?'],
    ['hostname == node1', '"hostname" is nothing that a node can be chosen by'],
    ['node.role == leader', 'no node has the role "leader"'],
    ['node.labels. == a', 'is nothing that a node can be chosen by'],
  ])('%s is refused where it stands', (written, message) => {
    const error = refusal(constraint(written));
    expect(error).toMatchObject({ line: 7, column: 13 });
    expect(error.message).toContain(message);
  });

  it('on a platform are accepted and named: every node counts', () => {
    const { spec, unsupported } = read(constraint('node.platform.os == linux'));
    expect(spec.services[0]?.constraints).toEqual([]);
    expect(unsupported).toMatchObject([{ key: 'deploy.placement.constraints', where: { line: 7, column: 13 } }]);
  });

  it('may name a node that does not exist: its tasks stay pending, as in a real swarm', () => {
    expect(read(constraint('node.hostname == nowhere')).spec.services[0]?.constraints).toHaveLength(1);
  });
});

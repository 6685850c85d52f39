import { describe, expect, it } from 'vitest';
import { read, refusal, service } from './reading.js';

describe('a key that nobody knows', () => {
  it.each([
    [service('imgae: nginx'), '4:5: services.web has no key "imgae"\nhint: did you mean "image"?'],
    [
      service('deploy:', '  replica: 3'),
      '5:7: services.web.deploy has no key "replica"\nhint: did you mean "replicas"?',
    ],
    [service('replicas: 3'), '4:5: services.web has no key "replicas"\nhint: "replicas" belongs under "deploy"'],
    [
      service('deploy:', '  constraints: []'),
      '5:7: services.web.deploy has no key "constraints"\nhint: "constraints" belongs under "placement"',
    ],
    ['servcies:\n  web: {}\n', '1:1: the file has no key "servcies"\nhint: did you mean "services"?'],
    ['web:\n  image: nginx\n', '1:1: the file has no key "web"\nhint: a service belongs under "services"'],
    [`${service()}\nnetworks:\n  back:\n    subnet: 10.1.0.0/24\n`, '6:5: networks.back has no key "subnet"'],
    [
      'services:\n  "my web": {}\n',
      '2:3: services has no key "my web"\nhint: a name is made of letters, digits, ".", "_" and "-"',
    ],
  ])('is refused where it stands, with what was meant (%#)', (text, message) => {
    expect(refusal(text).message).toContain(`stack.yml:${message}`);
  });
});

describe('a value of the wrong kind', () => {
  it.each([
    [
      service('deploy:', '  replicas: many'),
      '5:17: services.web.deploy.replicas cannot be "many"\nhint: write a whole number',
    ],
    [
      service('deploy:', '  replicas: 1.5'),
      '5:17: services.web.deploy.replicas must be a whole number or text, not 1.5',
    ],
    [service('deploy:', '  replicas: -1'), '5:17: services.web.deploy.replicas must be >= 0'],
    [service('deploy:', '  mode: gobal'), '5:13: services.web.deploy.mode must be "replicated", "global"'],
    [service('deploy:', '  - a'), '5:7: services.web.deploy must be a map or left empty, not a list'],
    [service('networks: net1'), '4:15: services.web.networks must be a list, a map or left empty, not "net1"'],
    [service('ports:'), '4:5: services.web.ports must be a list, not empty'],
    ['services:\n  - web\n', '2:3: services must be a map or left empty, not a list'],
    ['services:\n  web: nginx\n', '2:8: services.web must be a map, not "nginx"'],
    ['services:\n  web:\n', '2:3: services.web must be a map, not empty'],
  ])('is refused with its place and what it is (%#)', (text, message) => {
    expect(refusal(text).message).toContain(`stack.yml:${message}`);
  });

  it('is one among others: all are named, in the order of the file', () => {
    const error = refusal(service('ports: 80', 'imgae: x', 'deploy: { replicas: many }'));
    expect(error.problems.map(({ line, column }) => [line, column])).toEqual([
      [4, 12],
      [5, 5],
      [6, 25],
    ]);
    expect(error.message.match(/stack\.yml:/g)).toHaveLength(3);
    expect(error).toMatchObject({ line: 4, column: 12 });
  });
});

describe('keys without bearing on networks', () => {
  it('are accepted and not named', () => {
    const { ignored, unsupported, warnings, spec } = read(
      [
        'name: shop',
        service(
          'command: ["nginx", "-g", "daemon off;"]',
          'entrypoint: /run.sh',
          'environment: { A: 1, B: true, C: , D: text }',
          'env_file: [.env]',
          'volumes: ["data:/data", { type: bind, source: ., target: /src }]',
          'secrets: [key, { source: cert, target: /cert }]',
          'configs: [{ source: conf, target: /etc/x, mode: 0440 }]',
          'logging: { driver: json-file, options: { max-size: 1m } }',
          'labels: [a=b]',
          'user: "1000:1000"',
          'working_dir: /src',
          'healthcheck: { test: [CMD, "true"], interval: 10s, retries: 3, start_period: 5s }',
          'stop_grace_period: 1m',
          'hostname: web',
          'tty: true',
          'init: true',
          'ulimits: { nofile: { soft: 1, hard: 2 }, nproc: 5 }',
          'deploy: { labels: { a: b }, update_config: { parallelism: 2, delay: 10s, order: start-first }, restart_policy: { condition: on-failure, max_attempts: 3 }, resources: { limits: { cpus: "0.5", memory: 50M } } }',
        ),
        'volumes: { data: , other: { driver: local } }',
        'secrets: { key: { file: ./key }, cert: { external: true } }',
        'configs: { conf: { file: ./conf } }',
      ].join('\n'),
    );
    expect([...ignored, ...unsupported, ...warnings]).toEqual([]);
    expect(spec.services).toHaveLength(1);
  });
});

describe('keys that a stack deployment ignores', () => {
  it('are each named once, with the place of the first and the services that have them', () => {
    const { ignored } = read(
      'services:\n  a:\n    build: .\n    depends_on: [b]\n  b:\n    build: { context: . }\n    restart: always\n',
    );
    expect(ignored.map(({ key, where }) => [key, where.line])).toEqual([
      ['build', 3],
      ['depends_on', 4],
      ['restart', 7],
    ]);
    expect(ignored[0]?.message).toContain('build (a, b): docker stack deploy ignores it');
  });

  it.each([
    'container_name: x',
    'links: [db]',
    'external_links: [db]',
    'expose: ["80", 81]',
    'privileged: true',
    'scale: 3',
    'profiles: [debug]',
    'platform: linux/amd64',
    'mem_limit: 1g',
    'depends_on: { db: { condition: service_healthy } }',
    'security_opt: [no-new-privileges]',
  ])('%s is one of them', (line) => {
    expect(read(service(line)).ignored.map(({ key }) => key)).toEqual([line.split(':')[0]]);
  });

  it('do not include those that would bring in services from elsewhere: these are refused', () => {
    expect(refusal(service('extends: { service: base }'))).toMatchObject({ line: 4, column: 5 });
    expect(refusal(`include: [other.yml]\n${service()}`)).toMatchObject({ line: 1, column: 1 });
  });
});

describe('keys that bear on networks and are not built yet', () => {
  it.each([
    ['sysctls: { net.core.somaxconn: 1024 }', 'sysctls.net.core.somaxconn'],
    ['network_mode: host', 'network_mode'],
    ['mac_address: 02:42:ac:11:00:02', 'mac_address'],
    ['networks: { default: { ipv4_address: 10.0.1.5 } }', 'networks.ipv4_address'],
    ['deploy: { update_config: { failure_action: rollback } }', 'deploy.update_config.failure_action'],
  ])('%s is named', (line, key) => {
    const { unsupported } = read(service(line));
    expect(unsupported.map((notice) => notice.key)).toEqual([key]);
    expect(unsupported[0]?.where.line).toBe(4);
  });
});

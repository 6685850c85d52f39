// biome-ignore-all lint/suspicious/noTemplateCurlyInString: Compose's variables look like JavaScript's
/** Stacks of the kinds that people deploy, in our own words: what they have in common is read as a swarm would read it. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { read } from './reading.js';

const keys = (notices: { key: string }[]): string[] => notices.map(({ key }) => key);

describe('a stack that votes', () => {
  const { spec, ignored, unsupported } = read(`
version: "3.7"
services:
  ballot:
    image: example/ballot:1
    build: { context: ./ballot, target: dev }
    command: python app.py
    depends_on:
      queue: { condition: service_healthy }
    volumes: ["./ballot:/app"]
    ports: ["5000:80"]
    networks: [frontend, backend]
    deploy:
      replicas: 2
      update_config: { parallelism: 2 }
      restart_policy: { condition: on-failure }
  tally:
    image: example/tally
    ports: ["5001:80", "127.0.0.1:9229:9229"]
    networks: [frontend, backend]
  queue:
    image: redis:alpine
    healthcheck: { test: /check.sh, interval: "5s" }
    networks: { backend: { aliases: [redis] } }
  store:
    image: postgres
    environment: { POSTGRES_PASSWORD: secret }
    volumes: ["data:/var/lib/postgresql/data"]
    networks: [backend]
    deploy: { placement: { constraints: [node.role == manager] } }
  counter:
    image: example/counter
    networks: [backend]
    deploy: { mode: replicated, replicas: 1, labels: [APP=VOTING] }
networks: { frontend: , backend: }
volumes: { data: }
`);

  it('has its services on its two networks', () => {
    expect(spec.networks.map(({ name, driver }) => [name, driver])).toEqual([
      ['frontend', 'overlay'],
      ['backend', 'overlay'],
    ]);
    expect(
      spec.services.map(({ name, replicas, ports }) => [name, replicas, ports.map(({ published }) => published)]),
    ).toEqual([
      ['ballot', 2, [5000]],
      ['tally', 1, [5001, 9229]],
      ['queue', 1, []],
      ['store', 1, []],
      ['counter', 1, []],
    ]);
    expect(spec.services[2]?.networks).toEqual([{ name: 'backend', aliases: ['redis'] }]);
    expect(spec.services[3]?.constraints).toEqual(['node.role==manager']);
  });

  it('loses what a stack deployment ignores, and nothing else', () => {
    expect(keys(ignored)).toEqual(['build', 'depends_on']);
    expect(unsupported).toEqual([]);
  });
});

describe('a blog and its database', () => {
  it('meets on the default network', () => {
    const { spec, ignored, warnings } = read(
      `
services:
  db:
    image: mariadb:10.6
    command: '--default-authentication-plugin=mysql_native_password'
    volumes: [db_data:/var/lib/mysql]
    restart: always
    environment:
      - MYSQL_ROOT_PASSWORD=\${ROOT_PASSWORD:-somewordpress}
      - MYSQL_PASSWORD=\${PASSWORD}
    expose: [3306, 33060]
  blog:
    image: wordpress:\${TAG:-latest}
    ports: [80:80]
    restart: always
    environment: [WORDPRESS_DB_HOST=db]
volumes:
  db_data:
`,
      { environment: { TAG: '6' } },
    );
    expect(spec.networks).toEqual([{ name: 'default', driver: 'overlay' }]);
    expect(spec.services[1]).toMatchObject({ image: 'wordpress:6', ports: [{ published: 80, target: 80 }] });
    expect(keys(ignored)).toEqual(['restart', 'expose']);
    expect(keys(warnings)).toEqual(['PASSWORD']);
  });
});

describe('a proxy at the edge', () => {
  it('is global, publishes in host mode, and shares an external network', () => {
    const { spec, unsupported } = read(`
x-logging: &logging
  driver: json-file
  options: { max-size: 10m }
services:
  proxy:
    image: traefik:v3
    command: [--providers.swarm=true, --entrypoints.web.address=:80]
    ports:
      - { target: 80, published: 80, protocol: tcp, mode: host }
      - { target: 443, published: 443, protocol: tcp, mode: host }
    volumes: [{ type: bind, source: /var/run/docker.sock, target: /var/run/docker.sock, read_only: true }]
    networks: [edge]
    logging: *logging
    deploy: { mode: global, placement: { constraints: ["node.role == manager", "node.platform.os == linux"] } }
  whoami:
    image: traefik/whoami
    networks: [edge]
    logging: { <<: *logging, driver: local }
    deploy: { replicas: 3, labels: { traefik.enable: "true" } }
networks:
  edge: { external: true, name: edge-net }
`);
    expect(spec.networks).toEqual([{ name: 'edge-net', driver: 'overlay' }]);
    expect(spec.services[0]).toMatchObject({
      mode: 'global',
      constraints: ['node.role==manager'],
      ports: [{ mode: 'host' }, { mode: 'host' }],
    });
    expect(keys(unsupported).sort()).toEqual(['deploy.placement.constraints', 'external']);
  });
});

describe('a file that was written for docker compose', () => {
  it('runs, and says what of it a swarm does not do', () => {
    const { spec, ignored, unsupported } = read(`
name: shop
services:
  web:
    container_name: web
    build: .
    develop: { watch: [{ action: sync, path: ., target: /app }] }
    ports: ["3000:3000", "9229:9229"]
    depends_on: [cache]
    stop_signal: SIGINT
    profiles: [dev]
    networks: [inside]
  cache:
    image: redis
    restart: unless-stopped
    networks: [inside]
networks:
  inside: { driver: bridge }
`);
    expect(spec.services).toHaveLength(2);
    expect(spec.networks).toEqual([{ name: 'inside', driver: 'overlay' }]);
    expect(keys(ignored)).toEqual(['container_name', 'build', 'develop', 'depends_on', 'profiles', 'restart']);
    expect(keys(unsupported)).toEqual(['driver']);
  });
});

describe('the examples', () => {
  const example = (name: string) =>
    read(readFileSync(new URL(`../../examples/${name}`, import.meta.url), 'utf8'), { file: name });

  it('three-tier: one service on each node, the client asks them all, and one call goes out', () => {
    const { spec, ignored, unsupported, warnings } = example('three-tier.yml');
    expect([...ignored, ...unsupported, ...warnings]).toEqual([]);
    expect(spec.networks).toEqual([{ name: 'net1', driver: 'overlay', subnet: '100.0.0.0/24' }]);
    expect(spec.services.map(({ name, replicas, constraints }) => [name, replicas, constraints])).toEqual([
      ['nginx', 1, ['node.hostname==node2']],
      ['node', 1, ['node.hostname==node3']],
      ['redis', 1, ['node.hostname==node1']],
    ]);
    expect(spec.services[0]?.ports).toEqual([{ published: 1080, target: 80, protocol: 'tcp', mode: 'ingress' }]);
    expect(spec.calls).toEqual([
      { service: 'nginx', to: 'node', port: 3000, protocol: 'http', path: '/' },
      { service: 'node', to: 'redis', port: 6379, protocol: 'redis', path: '/' },
    ]);
    expect(spec.traffic).toEqual([
      ...['node1', 'node2', 'node3'].map((to) => ({
        kind: 'http',
        from: 'client',
        to,
        port: 1080,
        path: '/',
        requests: 1,
      })),
      { kind: 'http', from: 'nginx', to: '203.0.113.10', port: 80, path: '/', requests: 1 },
    ]);
  });

  it('round-robin: as many requests through each node as there are tasks', () => {
    const { spec, ignored, unsupported, warnings } = example('round-robin.yml');
    expect([...ignored, ...unsupported, ...warnings]).toEqual([]);
    expect(spec.services.map(({ name, replicas, ports }) => [name, replicas, ports])).toEqual([
      ['web', 3, [{ published: 8080, target: 80, protocol: 'tcp', mode: 'ingress' }]],
      ['echo', 2, [{ published: 4000, target: 7, protocol: 'udp', mode: 'ingress' }]],
    ]);
    const requests = spec.traffic.filter((flow) => flow.kind === 'http' && flow.requests === 3);
    expect(requests.map(({ to }) => to)).toEqual(spec.nodes.map(({ name }) => name));
  });
});

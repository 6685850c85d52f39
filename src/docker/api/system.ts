/** What the engine says of itself: ping, version, info, system df. */

import { isPaused } from '../pause.js';
import { API_VERSIONS, MIN_API_VERSION, RELEASES } from '../version.js';
import { summaryJson } from './container-json.js';
import { type App, type Engine, timeText } from './context.js';
import { swarmInfo } from './swarm.js';
import { volumesOn } from './volumes.js';

const KERNEL = '6.1.0-swarmwire';

export function systemRoutes(app: App, engine: Engine): void {
  const { world, node } = engine;
  app.on(['GET', 'HEAD'], '/_ping', (c) => {
    c.header('Builder-Version', '1');
    c.header('Cache-Control', 'no-cache, no-store, must-revalidate');
    c.header('Pragma', 'no-cache');
    c.header('Swarm', world.cluster.node(node).member ? `active/${world.cluster.node(node).role}` : 'inactive');
    return c.text(c.req.method === 'HEAD' ? '' : 'OK');
  });

  app.get('/version', (c) =>
    c.json({
      Platform: { Name: 'swarmwire' },
      Components: [
        {
          Name: 'Engine',
          Version: RELEASES[world.topology.engine],
          Details: {
            ApiVersion: API_VERSIONS[world.topology.engine],
            MinAPIVersion: MIN_API_VERSION,
            Os: 'linux',
            Arch: 'amd64',
            KernelVersion: KERNEL,
            Experimental: 'false',
            GitCommit: '',
            GoVersion: '',
            BuildTime: '',
          },
        },
      ],
      Version: RELEASES[world.topology.engine],
      ApiVersion: API_VERSIONS[world.topology.engine],
      MinAPIVersion: MIN_API_VERSION,
      GitCommit: '',
      GoVersion: '',
      Os: 'linux',
      Arch: 'amd64',
      KernelVersion: KERNEL,
      BuildTime: '',
    }),
  );

  app.get('/info', (c) => {
    const containers = [...world.cluster.containers.values()].filter((one) => one.node === node);
    const count = (status: string) => containers.filter((one) => one.status === status).length;
    return c.json({
      ID: world.cluster.node(node).id,
      Containers: containers.length,
      ContainersRunning: count('running'),
      ContainersPaused: containers.filter((one) => isPaused(world, one)).length,
      ContainersStopped: containers.length - count('running'),
      Images: world.imagesOn(node).size,
      Driver: 'overlay2',
      DriverStatus: [],
      Plugins: {
        Volume: ['local'],
        Network: ['bridge', 'host', 'ipvlan', 'macvlan', 'null', 'overlay'],
        Authorization: null,
        Log: [
          'awslogs',
          'fluentd',
          'gcplogs',
          'gelf',
          'journald',
          'json-file',
          'local',
          'logentries',
          'splunk',
          'syslog',
        ],
      },
      MemoryLimit: true,
      SwapLimit: true,
      CpuCfsPeriod: true,
      CpuCfsQuota: true,
      CPUShares: true,
      CPUSet: true,
      PidsLimit: true,
      IPv4Forwarding: true,
      BridgeNfIptables: true,
      BridgeNfIp6tables: true,
      Debug: false,
      NFd: 0,
      OomKillDisable: true,
      NGoroutines: 0,
      SystemTime: timeText(world.time),
      LoggingDriver: 'json-file',
      CgroupDriver: 'systemd',
      CgroupVersion: '2',
      NEventsListener: 0,
      KernelVersion: KERNEL,
      OperatingSystem: 'swarmwire: simulated, nothing here runs',
      OSVersion: '',
      OSType: 'linux',
      Architecture: 'x86_64',
      IndexServerAddress: 'https://index.docker.io/v1/',
      RegistryConfig: { InsecureRegistryCIDRs: [], IndexConfigs: {}, Mirrors: [] },
      NCPU: 1,
      MemTotal: 2_147_483_648,
      DockerRootDir: '/var/lib/docker',
      HttpProxy: '',
      HttpsProxy: '',
      NoProxy: '',
      Name: node,
      Labels: [],
      ExperimentalBuild: false,
      ServerVersion: RELEASES[world.topology.engine],
      Runtimes: { runc: { path: 'runc' } },
      DefaultRuntime: 'runc',
      Swarm: swarmInfo(engine),
      LiveRestoreEnabled: false,
      Isolation: '',
      InitBinary: 'docker-init',
      ContainerdCommit: { ID: '', Expected: '' },
      RuncCommit: { ID: '', Expected: '' },
      InitCommit: { ID: '', Expected: '' },
      SecurityOptions: [],
      Warnings: null,
    });
  });

  app.get('/system/df', (c) => {
    const images = [...world.imagesOn(node).values()];
    return c.json({
      LayersSize: images.reduce((sum, { size }) => sum + size, 0),
      Images: images.map(({ id, name, size, created }) => ({
        Id: id,
        RepoTags: [name],
        Size: size,
        SharedSize: 0,
        VirtualSize: size,
        Containers: [...world.cluster.containers.values()].filter(
          (one) => one.node === node && world.configOf(one).image.id === id,
        ).length,
        Created: Number(created / 1_000_000_000n),
        Labels: {},
        ParentId: '',
        RepoDigests: [],
      })),
      Containers: [...world.cluster.containers.values()]
        .filter((one) => one.node === node)
        .map((one) => ({ ...summaryJson(world, one, true) })),
      Volumes: volumesOn(world, node),
      BuildCache: [],
    });
  });

  app.post('/build/prune', (c) => c.json({ CachesDeleted: null, SpaceReclaimed: 0 }));

  app.post('/auth', (c) => c.json({ Status: 'Login Succeeded', IdentityToken: '' }));
}

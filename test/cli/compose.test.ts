// The files of examples/cluster and docs/cluster.md are what Docker, Kubernetes and the
// command expect. test/bullmq/ runs them.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { workerOptions } from '../../dist/cli/worker-options.js';
import {
  type Compose,
  dockerfileOf,
  folder,
  parseYaml,
  readCompose,
} from '../helpers/compose.js';

// See https://github.com/compose-spec/compose-spec.
const serviceKeys = [
  ...['build', 'command', 'depends_on', 'deploy', 'entrypoint', 'environment'],
  ...['healthcheck', 'image', 'init', 'ports', 'profiles', 'restart'],
  ...['secrets', 'stop_grace_period', 'volumes'],
];

let compose: Compose;
beforeAll(() => {
  compose = readCompose();
});

test('it has only what a compose file may have', () => {
  const top = ['name', 'services', 'secrets', 'volumes'];
  expect(top).toEqual(expect.arrayContaining(Object.keys(compose)));
  for (const service of Object.values(compose.services)) {
    expect(serviceKeys).toEqual(expect.arrayContaining(Object.keys(service)));
    expect(['image', 'build'].filter((key) => key in service)).toHaveLength(1);
  }
});

test('what a service needs is there', () => {
  for (const service of Object.values(compose.services)) {
    const { depends_on: others = {}, secrets = [], volumes = [] } = service;
    expect(Object.keys(compose.services)).toEqual(
      expect.arrayContaining(Object.keys(others)),
    );
    for (const [name, { condition }] of Object.entries(others)) {
      expect(condition).toBe('service_healthy');
      expect(compose.services[name]).toHaveProperty('healthcheck');
    }
    expect(Object.keys(compose.secrets)).toEqual(
      expect.arrayContaining([...secrets]),
    );
    expect(Object.keys(compose.volumes)).toEqual(
      expect.arrayContaining(volumes.map((volume) => volume.split(':')[0])),
    );
  }
});

test('there are two workers, whose command line is right', () => {
  const { worker } = compose.services;
  const args = worker!.command!.filter(
    (arg) => !/^--(root|key-file)=/.test(arg),
  );
  const url = worker!.environment!['JOBSERVER_URL']!;

  expect(worker!.deploy).toEqual({ replicas: 2 });
  expect(workerOptions([...args, url])).toMatchObject({
    slots: 2,
    log: 'json',
  });
});

test('the image starts the command of the package', () => {
  const { entrypoint, command } = dockerfileOf();

  expect(entrypoint).toEqual([
    ...['/usr/bin/tini', '--'],
    ...['/app/node_modules/.bin/jobserver', 'worker'],
  ]);
  expect(command).toEqual(['--root', '/app']);
});

test('its packages are those that the package asks for', () => {
  type Fields = Record<string, Record<string, string>> & { version: string };
  const read = (path: string): Fields => JSON.parse(readFileSync(path, 'utf8'));
  const own = read('package.json');
  const { dependencies } = read(join(folder, 'package.json'));

  expect(dependencies!['bullmq']).toBe(own['devDependencies']!['bullmq']);
  expect(dependencies!['ioredis']).toBe(own['devDependencies']!['ioredis']);
  expect(dependencies!['jobserver']).toBe(`^${own.version}`);
});

describe('docs/cluster.md', () => {
  const text = readFileSync(join('docs', 'cluster.md'), 'utf8');
  const blocks = Array.from(
    text.matchAll(/^[ ]*```(\w+)\n([^]*?)^[ ]*```$/gm),
    ([, language, code]) => ({ language: language!, code: code! }),
  );

  /** Without what this machine lacks. */
  const known = (args: readonly string[]): string[] =>
    args.filter((arg) => !/^--(root|key-file|store)\b/.test(arg));

  test('each command line of a worker is right', () => {
    const lines = text.matchAll(
      /jobserver worker ([^\n`']*redis:\/\/[^\s'`"]+)/g,
    );
    const all = Array.from(lines, ([, line]) =>
      known(line!.replaceAll(/"\$\([^)]*\)"/g, 'VERSION').split(/\s+/)),
    );
    expect(all.length).toBeGreaterThan(4);
    for (const args of all) {
      const url = args.at(-1)!;
      const given = args.filter((arg) => !arg.startsWith('./'));
      expect(workerOptions(given)).toMatchObject({ url });
    }
  });

  test('the Deployment of Kubernetes is right', () => {
    const [deployment] = blocks.filter(({ language }) => language === 'yaml');
    const { spec } = parseYaml(deployment!.code) as {
      spec: { template: { spec: { containers: Container[] } } };
    };
    const [container] = spec.template.spec.containers;
    const options = workerOptions([...known(container!.args), 'redis://redis']);
    const probes = [container!.livenessProbe, container!.readinessProbe];

    expect(probes.map(({ httpGet }) => httpGet)).toEqual([
      { path: '/healthz', port: options.health!.port },
      { path: '/readyz', port: options.health!.port },
    ]);
    expect(options.metrics!.port).toBe(9090);
  });

  test('the line of a log is JSON', () => {
    const [line] = blocks.filter(({ language }) => language === 'json');
    expect(JSON.parse(line!.code)).toHaveProperty('message', 'state');
  });
});

interface Container {
  readonly args: readonly string[];
  readonly livenessProbe: { httpGet: { path: string; port: number } };
  readonly readinessProbe: { httpGet: { path: string; port: number } };
}

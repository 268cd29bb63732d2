// The commands of examples/cluster/compose.yaml work together, without Docker: the same
// arguments, in a folder as the images have it.
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import {
  type Service,
  dockerfileOf,
  folder as example,
  readCompose,
} from '../helpers/compose.js';
import { runNode } from '../helpers/program.js';
import { RedisServer } from '../helpers/redis.js';
import { WorkerProcess } from '../helpers/worker-process.js';

let redis: RedisServer;
let app: string;
beforeAll(async () => {
  const { redis: service } = readCompose().services;
  const [program, ...args] = service!.command!;
  expect(program).toBe('redis-server');
  redis = await RedisServer.start(args);
  app = realpathSync(mkdtempSync(join(tmpdir(), 'compose-')));
  cpSync(example, app, { recursive: true });
  writeFileSync(join(app, 'key'), 'what openssl rand -hex 32 prints\n');
  const modules = join(app, 'node_modules');
  mkdirSync(modules);
  symlinkSync(resolve('.'), join(modules, 'jobserver'));
  for (const name of ['bullmq', 'ioredis']) {
    symlinkSync(resolve('node_modules', name), join(modules, name));
  }
});
afterEach(() => WorkerProcess.endAll());
afterAll(async () => {
  await redis.end();
  rmSync(app, { recursive: true });
});

/** What the containers have, as it is here. */
function here(text: string): string {
  return text
    .replace('/run/secrets/jobserver_key', join(app, 'key'))
    .replace('redis://redis:6379', redis.url)
    .replace(/^(--root=)?\/app$/, `$1${app}`)
    .replace(/^(--(?:health|metrics)=)\d+$/, '$1127.0.0.1:0');
}

function environmentOf({ environment = {} }: Service): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(environment).map(([name, value]) => [name, here(value)]),
  );
}

test('two workers run what the program submits, and end at SIGTERM', async () => {
  const { worker, submit } = readCompose().services;
  // Those of the compose file replace the CMD of the image.
  const args = worker!.command!.map(here);
  const env = environmentOf(worker!);
  const workers = [1, 2].map(() => new WorkerProcess(args, { env, cwd: app }));
  for (const each of workers) await each.says(/"message":"takes jobs"/);

  const [program, ...rest] = submit!.entrypoint!;
  expect(program).toBe('node');
  const options = {
    cwd: app,
    env: { ...process.env, ...environmentOf(submit!) },
  };
  const { code, stdout, stderr } = await runNode(rest, options);

  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toMatch(/^168 primes below 1000\n303 primes below 2000\n/);
  expect(stdout).toMatch(/^computed on \S+$/m);
  for (const each of workers) each.kill('SIGTERM');
  for (const each of workers) expect(await each.end()).toBe(0);
});

test('a worker of the image without other arguments starts, too', async () => {
  const { entrypoint, command } = dockerfileOf();
  const args = [...entrypoint.slice(4), ...command].map(here);
  const env = { JOBSERVER_URL: redis.url };
  const worker = new WorkerProcess(args, { env, cwd: app });
  await worker.says(/takes jobs/);
});

test('the program of docs/cluster.md prints its numbers', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'docs-'));
  symlinkSync(join(app, 'node_modules'), join(folder, 'node_modules'));
  const text = readFileSync(join('docs', 'cluster.md'), 'utf8');
  for (const [, name, code] of text.matchAll(
    /^```js\n\/\/ (\S+)\n([^]*?)^```$/gm,
  )) {
    const here = code!.replace('redis://127.0.0.1:6379', redis.url);
    writeFileSync(join(folder, name!), here);
  }
  new WorkerProcess([redis.url], { cwd: folder });
  const { code, stdout, stderr } = await runNode(['cluster.mjs'], {
    cwd: folder,
  });

  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toBe('4\n25\n168\n');
  rmSync(folder, { recursive: true });
});

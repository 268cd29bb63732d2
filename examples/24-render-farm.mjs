// A render farm on one machine: Redis, three hosts, and this program, which submits the
// rows of a picture. One host is killed, and the others render its rows.
// Needs redis-server and the packages `bullmq` and `ioredis`.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { renderRows } from './render.mjs';

const [width, height, rows] = [360, 240, 10];
// `npx jobserver`, where the package is installed.
const jobserver = fileURLToPath(
  new URL('../dist/cli/main.js', import.meta.url),
);
const root = fileURLToPath(new URL('.', import.meta.url));
const leaseMs = 1000;

const processes = [];

function start(file, args) {
  const child = spawn(file, args, { stdio: 'ignore' });
  processes.push(child);
  return child;
}

async function end(child, signal) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill(signal);
  await exited;
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  return port;
}

function startHost(name, url) {
  const where = ['--root', root, '--name', name, '--lease', String(leaseMs)];
  const args = [jobserver, 'worker', '--slots', '2', ...where, url];
  return start(process.execPath, args);
}

async function renderPicture(executor, west) {
  while ((await executor.hosts()).length < 3) await sleep(50);
  const parts = Array.from({ length: height / rows }, (_, i) => {
    return { width, height, from: i * rows, to: (i + 1) * rows };
  });
  const rendered = [];
  for await (const pixels of executor.map(renderRows, parts)) {
    // In the middle of its work.
    if (rendered.length === 0) await end(west, 'SIGKILL');
    rendered.push(pixels);
  }
  assert.equal(rendered.length, parts.length);
  return Buffer.concat(rendered);
}

function show(picture) {
  const shades = ' .:-=+*#%@';
  for (let y = 0; y < height; y += 12) {
    const line = Array.from({ length: width / 6 }, (_, i) => {
      const shade = picture[y * width + 6 * i] / 256;
      return shades[Math.floor(shades.length * shade)];
    });
    console.log(line.join(''));
  }
}

async function renderOnFarm() {
  const { ClusterExecutor } = await import('jobserver/bullmq');
  const folder = mkdtempSync(join(tmpdir(), 'render-farm-'));
  const port = await freePort();
  const url = `redis://127.0.0.1:${port}`;
  try {
    const limits = ['--maxmemory-policy', 'noeviction', '--save', ''];
    const where = ['--bind', '127.0.0.1', '--port', String(port)];
    start('redis-server', [...where, '--dir', folder, ...limits]);
    const hosts = ['north', 'south', 'west'].map((name) =>
      startHost(name, url),
    );

    // Rows that are lost with their host are rendered again.
    const options = { connection: url, root, leaseMs, retries: 1 };
    const executor = new ClusterExecutor(options);
    const picture = await renderPicture(executor, hosts[2]);
    await executor.shutdown();

    show(picture);
    const all = renderRows({ width, height, from: 0, to: height });
    assert.ok(picture.equals(all));
    // The others end when their jobs have.
    await Promise.all(hosts.slice(0, 2).map((host) => end(host, 'SIGTERM')));
    assert.deepEqual([hosts[0].exitCode, hosts[1].exitCode], [0, 0]);
  } finally {
    await Promise.all(processes.map((child) => end(child, 'SIGKILL')));
    rmSync(folder, { recursive: true });
  }
}

if (spawnSync('redis-server', ['--version']).status !== 0) {
  console.log('Skipped: there is no redis-server on this machine.');
} else {
  await renderOnFarm();
  console.log(
    'Three hosts rendered a picture, although one of them was killed.',
  );
}

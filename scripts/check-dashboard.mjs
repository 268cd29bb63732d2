// Looks at jobs of a cluster in Bull Board, which shows queues of BullMQ.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { command, commandLine, endWithCommands, root } from './command.mjs';
import { Redis, hasRedis, noRedis } from './redis.mjs';

const usage = `
Usage: node scripts/check-dashboard.mjs [--screenshot=FILE]

Installs Bull Board, which shows queues of BullMQ, in a temporary folder, and checks that
it shows jobs of a cluster with their names, their times and why they have failed. Where
there is a Chromium, which CI has to have, it also looks at the pages. Needs a build and
redis-server.

  --screenshot=FILE  writes a picture of the failed jobs (PNG); needs Chromium
`;
const { screenshot } = commandLine(usage, {
  options: { screenshot: { type: 'string' } },
}).values;
if (!hasRedis()) {
  console.error(noRedis);
  process.exit(1);
}

const packages = ['@bull-board/api', '@bull-board/express', 'express'];
const browsers = ['chromium', 'chromium-browser', 'google-chrome'];
const patienceMs = 60_000;
const jobsFolder = join(root, 'test', 'fixtures', 'cli');

const temp = mkdtempSync(join(tmpdir(), 'dashboard-'));
const ends = [() => rmSync(temp, { recursive: true, force: true })];
const endAll = () => {
  while (ends.length > 0) ends.pop()();
};

endWithCommands(endAll);
try {
  await check();
} finally {
  endAll();
}
// Some connections may still be open.
process.exit();

async function check() {
  const install = ['install', '--no-save', '--prefix', temp, ...packages];
  await command('npm', install, { cwd: temp, minutes: 5 });
  // Those that the library is tested with.
  for (const name of ['bullmq', 'ioredis']) {
    const path = join(temp, 'node_modules', name);
    rmSync(path, { recursive: true, force: true });
    symlinkSync(join(root, 'node_modules', name), path);
  }
  const redis = await Redis.start();
  ends.push(() => redis.signal('SIGKILL'));
  const main = join(root, 'dist', 'cli', 'main.js');
  const args = [main, 'worker', '--root', jobsFolder, '-j2', redis.url];
  const host = spawn(process.execPath, args, { stdio: 'ignore' });
  ends.push(() => host.kill('SIGKILL'));
  await runJobs(redis);
  const base = await openBoard(redis);
  await checkJson(base);
  console.log('ok the API of Bull Board');
  await checkPage(base);
}

async function runJobs(redis) {
  const { ClusterExecutor } = await import('jobserver/bullmq');
  const connection = redis.url;
  const executor = new ClusterExecutor({ connection, root: jobsFolder });
  const module = pathToFileURL(join(jobsFolder, 'jobs.mjs')).href;
  const call = (name, ...args) => executor.submit(`${module}#${name}`, ...args);
  await call('double', 21);
  await call('fail').catch(() => undefined);
  await call('die').catch(() => undefined);
  call('wait', join(temp, 'begun'), join(temp, 'go')).catch(() => undefined);
}

/** Resolves with the URL of the board. */
async function openBoard(redis) {
  const require = createRequire(join(temp, 'index.js'));
  const { createBullBoard } = require('@bull-board/api');
  const { BullMQAdapter } = require('@bull-board/api/bullMQAdapter');
  const { ExpressAdapter } = require('@bull-board/express');
  const { Queue } = await import('bullmq');
  const connection = { host: '127.0.0.1', port: redis.port };
  const queue = new Queue('jobserver', { connection });
  const serverAdapter = new ExpressAdapter();
  createBullBoard({ queues: [new BullMQAdapter(queue)], serverAdapter });
  const app = require('express')();
  app.use('/', serverAdapter.getRouter());
  const server = app.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `http://127.0.0.1:${server.address().port}`;
}

async function jobsIn(base, state) {
  const query = `activeQueue=jobserver&status=${state}&page=1&jobsPerPage=20`;
  const response = await fetch(`${base}/api/queues?${query}`);
  const { queues } = await response.json();
  return queues[0].jobs;
}

async function checkJson(base) {
  const failed = await waitFor('two failed jobs', async () => {
    const jobs = await jobsIn(base, 'failed');
    return jobs.length >= 2 ? jobs : undefined;
  });
  const of = (name) => failed.find((job) => job.name.includes(name));
  for (const [name, reason] of [
    ['fail', /too far/],
    ['die', /SIGKILL/],
  ]) {
    const job = of(name);
    assertThat(job !== undefined, `no job ${name}`, failed);
    assertThat(reason.test(job.failedReason), 'the reason', job);
    assertThat(job.finishedOn >= job.processedOn, 'the duration', job);
  }
  const active = await waitFor('the active job', async () => {
    const [job] = await jobsIn(base, 'active');
    return job;
  });
  assertThat(active.name.includes('wait'), 'the name', active);
  assertThat(active.processedOn >= active.timestamp, 'the start', active);
}

async function checkPage(base) {
  const browser = browsers.find(
    (name) => spawnSync(name, ['--version']).status === 0,
  );
  if (browser === undefined) {
    if (process.env.CI) throw new Error(`there is no ${browsers[0]}`);
    console.log(`the page was not looked at: there is no ${browsers[0]}`);
    return;
  }
  const flags = [
    ...[
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-dev-shm-usage',
    ],
    ...['--virtual-time-budget=20000', `--user-data-dir=${join(temp, 'user')}`],
    ...['--window-size=1200,1400'],
  ];
  const urlOf = (status) => `${base}/queue/jobserver?status=${status}`;
  const duration = '\\d+ (milli)?seconds?';
  const times = `${duration} Process started at .{1,99} ${duration} `;
  for (const [status, ...parts] of [
    ['failed', 'fail \\(jobs', 'too far', 'SIGKILL', `${times}Failed at`],
    ['completed', 'jobs\\.mjs', `${times}Finished at`],
    ['active', 'wait \\(jobs', 'Process started at'],
  ]) {
    const dump = [...flags, '--dump-dom', urlOf(status)];
    const { stdout } = await command(browser, dump);
    const text = stdout.replace(/<[^>]*>/g, ' ').replace(/\s+/g, ' ');
    for (const part of parts) {
      const isThere = new RegExp(part, 'i').test(text);
      assertThat(isThere, `no ${part} on the page of ${status} jobs`, text);
    }
  }
  console.log('ok the pages of Bull Board');
  if (screenshot === undefined) return;
  const picture = [...flags, `--screenshot=${screenshot}`, urlOf('failed')];
  await command(browser, picture);
}

async function waitFor(what, find) {
  const end = performance.now() + patienceMs;
  for (;;) {
    const found = await find();
    if (found !== undefined) return found;
    if (performance.now() > end) throw new Error(`Waited for ${what}`);
    await sleep(50);
  }
}

function assertThat(isSo, what, found) {
  if (isSo) return;
  throw new Error(`${what}: ${JSON.stringify(found, undefined, 2)}`);
}

// How long do large values take to a worker and back, compared with threads and with
// other processes, and how much memory does a table take that jobs share?
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { Jobserver, allocate, move, share } from 'jobserver';
import Piscina from 'piscina';
import Tinypool from 'tinypool';
import { commandLine } from '../scripts/command.mjs';
import { echo, moveBack, readPages } from './echo.mjs';
import { median, table, timesInTurn } from './measure.mjs';

const usage = `
Usage: node --expose-gc bench/values.mjs [--rounds=N] [--jobs=N] [--table=MIB] 
                                         [--before=FOLDER] [--pools=TEXT]

Sends buffers of 10 kB to 64 MiB to a worker, which returns them. Then lets jobs read
one table, and measures the memory that each has for itself. Needs Linux.

  --rounds=N       how many times each buffer is sent, by default 7; smaller ones are
                   sent several times in each round
  --jobs=N         how many jobs read the table, by default 20
  --table=MIB      its size, by default 256
  --before=FOLDER  another version of this package, which is measured as well
  --pools=TEXT     only copies to a thread, and pools whose name contains the text
`;
const { values: given } = commandLine(usage, {
  options: {
    rounds: { type: 'string', default: '7' },
    jobs: { type: 'string', default: '20' },
    table: { type: 'string', default: '256' },
    before: { type: 'string' },
    pools: { type: 'string', default: '' },
  },
});
const rounds = Number(given.rounds);
const jobs = Number(given.jobs);
const tableBytes = Number(given.table) * 2 ** 20;
if (!(rounds >= 1) || !(jobs >= 1) || !(tableBytes > 0)) {
  console.error(`A number is missing or too small\n${usage}`);
  process.exit(2);
}

/** Names, sizes, and how many times in a row each is sent. */
const sizes = [
  ['10 kB', 10_000, 20],
  ['1 MiB', 2 ** 20, 10],
  ['8 MiB', 2 ** 23, 3],
  ['64 MiB', 2 ** 26, 1],
];
// The process waits while other pools are measured, as their threads do.
const reused = { slots: 1, jobsPerProcess: Infinity, idleTimeout: Infinity };
const echoFile = fileURLToPath(new URL('echo.mjs', import.meta.url));
const peerFile = fileURLToPath(new URL('echo-peer.mjs', import.meta.url));
/** What is copied, by size. */
const originals = new Map();
const copiedToThread = 'worker_threads, copied';

await thereAndBack();
await oneTable();

async function thereAndBack() {
  const openers = {
    'fresh processes': () => withJobs(new Jobserver({ slots: 1 }), copied),
    'a reused process': () => withJobs(new Jobserver(reused), copied),
    'a reused process, moved': () => withJobs(new Jobserver(reused), moved),
    'a reused process, shared': () => withJobs(new Jobserver(reused), shared),
    ...(given.before && {
      'a reused process, --before': async () =>
        withJobs(await jobserverBefore(), copied),
    }),
    [copiedToThread]: () => inThread(false),
    'worker_threads, transferred': () => inThread(true),
    'child_process, advanced': inProcess,
    'piscina, copied': () => inPiscina(false),
    'piscina, transferred': () => inPiscina(true),
    'tinypool, threads': () => inTinypool('worker_threads'),
    'tinypool, processes': () => inTinypool('child_process'),
  };
  const opened = {};
  for (const [name, open] of Object.entries(openers)) {
    const isChosen = name.includes(given.pools) || name === copiedToThread;
    if (isChosen) opened[name] = await open();
  }
  for (const [label, size, inRow] of sizes) {
    const actions = Object.entries(opened).map(([name, { send }]) => [
      name,
      sender(send, size),
    ]);
    const times = await timesInTurn(
      rounds,
      Object.fromEntries(actions),
      inRow,
      globalThis.gc,
    );
    const base = median(times[copiedToThread]);
    const rows = Object.entries(times).map(([name, all]) => [
      name,
      time(median(all)),
      time(Math.min(...all)),
      (median(all) / base).toPrecision(2),
    ]);
    const head = ['', 'median', 'best', 'over a copy to a thread'];
    table(`${label} there and back`, head, rows);
  }
  for (const { close } of Object.values(opened)) await close();
}

/** Those bytes that came back are sent again, where they are moved. */
function sender(send, size) {
  const mine = {};
  return async () => {
    const { length } = await send(size, mine);
    if (length !== size) throw new Error('A worker has lost some bytes');
  };
}

function withJobs(jobserver, send) {
  return {
    send: (size, mine) => send(jobserver, size, mine),
    close: () => jobserver.close(),
  };
}

async function jobserverBefore() {
  const path = join(resolve(given.before), 'dist', 'index.js');
  const { default: before } = await import(path);
  return new before.Jobserver(reused);
}

function copied(jobserver, size) {
  return jobserver.run(echo, original(size));
}

async function moved(jobserver, size, mine) {
  mine.bytes ??= new Uint8Array(allocate(size));
  mine.bytes = await jobserver.run(moveBack, move(mine.bytes));
  return mine.bytes;
}

function shared(jobserver, size, mine) {
  mine.bytes ??= new Uint8Array(share(size));
  return jobserver.run(echo, mine.bytes);
}

function inThread(isTransferred) {
  const worker = new Worker(peerFile);
  const send = async (size, mine) => {
    const bytes = isTransferred ? toTransfer(size, mine) : original(size);
    const transferred = isTransferred ? [bytes.buffer] : [];
    worker.postMessage([bytes, isTransferred], transferred);
    const [back] = await once(worker, 'message');
    if (isTransferred) mine.bytes = back;
    return back;
  };
  return { send, close: () => worker.terminate() };
}

function inProcess() {
  const child = fork(peerFile, { serialization: 'advanced' });
  const send = async (size) => {
    child.send(original(size));
    const [back] = await once(child, 'message');
    return back;
  };
  return { send, close: () => child.kill() };
}

function inPiscina(isTransferred) {
  const name = isTransferred ? 'transferBack' : 'echo';
  const options = { minThreads: 1, maxThreads: 1 };
  const pool = new Piscina({ filename: echoFile, ...options });
  const send = async (size, mine) => {
    if (!isTransferred) return pool.run(original(size), { name });
    const bytes = Piscina.move(toTransfer(size, mine));
    mine.bytes = await pool.run(bytes, { name });
    return mine.bytes;
  };
  return { send, close: () => pool.destroy() };
}

function inTinypool(runtime) {
  const options = { runtime, minThreads: 1, maxThreads: 1 };
  const serialization = 'advanced';
  const pool = new Tinypool({ filename: echoFile, serialization, ...options });
  const send = (size) => pool.run(original(size), { name: 'echo' });
  return { send, close: () => pool.destroy() };
}

function original(size) {
  if (!originals.has(size)) originals.set(size, new Uint8Array(size).fill(1));
  return originals.get(size);
}

function toTransfer(size, mine) {
  return mine.bytes ?? new Uint8Array(size).fill(1);
}

async function oneTable() {
  const bytes = new Uint8Array(tableBytes).fill(1);
  const constant = new Uint8Array(share(bytes));
  // A page that a single process has read would count as its own.
  readPages(constant);
  const few = Math.min(jobs, 4);
  const rows = [
    await memoryOf('no table', jobs, undefined),
    await memoryOf('the table, shared', jobs, constant),
    await memoryOf('the table as an argument', few, bytes),
  ];
  const head = ['', 'jobs', 'memory of its own', 'page tables', 'a job'];
  table(`jobs that read a table of ${mib(tableBytes)}`, head, rows);
}

async function memoryOf(label, count, argument) {
  const jobserver = new Jobserver({ slots: 2 });
  const expected = (argument?.length ?? 0) / 4096;
  const own = [];
  const tables = [];
  const start = performance.now();
  const argumentOf = Array(count).fill(argument);
  for await (const each of jobserver.map(readPages, argumentOf, {
    bufferSize: 2,
  })) {
    const [sum, ofJob, ofTables] = each;
    if (sum !== expected) throw new Error(`${label}: a job has read ${sum}`);
    own.push(ofJob);
    tables.push(ofTables);
  }
  const elapsed = (performance.now() - start) / count;
  await jobserver.close();
  return [label, count, mib(median(own)), mib(median(tables)), time(elapsed)];
}

function mib(bytes) {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}

function time(milliseconds) {
  if (milliseconds >= 1) return `${milliseconds.toFixed(1)} ms`;
  return `${Math.round(milliseconds * 1000)} µs`;
}

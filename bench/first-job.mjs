// A program for first.mjs: imports a pool's package, makes a pool and runs one job, or
// only some of that. Prints the milliseconds that the import took, and those from
// then on until the result was there.
import { fileURLToPath } from 'node:url';

const jobs = new URL('jobs.mjs', import.meta.url);
const filename = fileURLToPath(jobs);

const pools = {
  'jobserver, import only': { load: importJobserver },
  spawn: { load: importJobserver, run: inContext('spawn') },
  forkserver: { load: importJobserver, run: inContext('forkserver') },
  fork: { load: importJobserver, run: inContext('fork') },
  piscina: {
    load: () => import('piscina'),
    run: ({ default: Piscina }) =>
      new Piscina({ filename }).run(undefined, { name: 'nothing' }),
  },
  tinypool: {
    load: () => import('tinypool'),
    run: ({ default: Tinypool }) =>
      new Tinypool({ filename }).run(undefined, { name: 'nothing' }),
  },
  workerpool: {
    load: () => import('workerpool'),
    run: ({ default: workerpool }) =>
      workerpool
        .pool(
          fileURLToPath(new URL('workerpool-worker.mjs', import.meta.url)),
          {
            workerThreadOpts: { argv: [jobs.href] },
          },
        )
        .exec('nothing', [undefined]),
  },
};

async function importJobserver() {
  const package_ = await import('jobserver');
  // As in most programs, the function is there before the Jobserver.
  const { nothing } = await import(jobs);
  return { ...package_, nothing };
}

function inContext(context) {
  return ({ Jobserver, nothing }) => new Jobserver({ context }).run(nothing);
}

const { load, run } = pools[process.argv[2]];
const start = performance.now();
const loaded = await load();
const imported = performance.now();
await run?.(loaded);
const end = performance.now();
console.log(JSON.stringify([imported - start, end - imported]));
process.exit();

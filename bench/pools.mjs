// The pools that the benchmarks compare. Each opens with a task, which names an
// exported function, and has the methods `run`, which calls the function with one
// argument, and `close`. Processes that are reused have `jobsPerProcess: Infinity`,
// and fresh ones run one call. A pool loads its library when it opens, so that a process
// pays only for the library that it uses.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

export const slots = 2;

const pathOf = (name) => fileURLToPath(new URL(name, import.meta.url));

/**
 * A task has the URL of a `module`, and the `name` of the function. The forkserver
 * preloads the packages in `tools`, where a pool does that.
 */
const openers = {
  'one process': openSerial,
  'forkserver, reused, preload': (task) =>
    openJobserver(task, reused, preloadOf(task)),
  'forkserver, reused': (task) => openJobserver(task, reused),
  'spawn, reused': (task) =>
    openJobserver(task, { ...reused, context: 'spawn' }),
  'forkserver, fresh, preload': (task) => openJobserver(task, preloadOf(task)),
  'forkserver, fresh': (task) => openJobserver(task),
  'spawn, fresh': (task) => openJobserver(task, { context: 'spawn' }),
  piscina: openPiscina,
  'tinypool, threads': (task) => openTinypool(task, 'worker_threads'),
  'tinypool, processes': (task) => openTinypool(task, 'child_process'),
  'jest-worker, threads': (task) => openJestWorker(task, true),
  'jest-worker, processes': (task) => openJestWorker(task, false),
  'workerpool, threads': (task) => openWorkerpool(task, 'thread'),
  'workerpool, processes': (task) => openWorkerpool(task, 'process'),
  'child_process.fork, fresh': openForks,
};

// Like the threads of the others, idle processes live on while other pools run.
const reused = { jobsPerProcess: Infinity, idleTimeout: Infinity };
const preloadOf = ({ module, tools = [] }) => ({
  preload: [module, ...tools.map((tool) => import.meta.resolve(tool))].map(
    (url) => new URL(url),
  ),
});

export const poolNames = Object.keys(openers);

/** Pools of which a process runs several calls, and that are no part of jobserver. */
export const peers = poolNames.filter((name) =>
  /^(piscina|tinypool|jest-worker|workerpool)/.test(name),
);

export function open(name, task) {
  return openers[name](task);
}

async function openSerial({ module, name }) {
  const { [name]: fn } = await import(module);
  return { run: limited(1, fn), close: () => undefined };
}

async function openJobserver({ module, name }, ...options) {
  const { Jobserver } = await import('jobserver');
  const { [name]: fn } = await import(module);
  const jobserver = new Jobserver({
    slots,
    forkserverKeepAlive: 0,
    ...Object.assign({}, ...options),
  });
  return {
    run: (...args) => jobserver.run(fn, ...args),
    close: () => jobserver.close(),
  };
}

async function openPiscina({ module, name, ahead = 1 }) {
  const { default: Piscina } = await import('piscina');
  const pool = new Piscina({
    filename: fileURLToPath(module),
    minThreads: slots,
    maxThreads: slots,
    concurrentTasksPerWorker: ahead,
  });
  return {
    run: (value) => pool.run(value, { name }),
    close: () => pool.destroy(),
  };
}

async function openTinypool({ module, name }, runtime) {
  const { default: Tinypool } = await import('tinypool');
  const pool = new Tinypool({
    filename: fileURLToPath(module),
    runtime,
    serialization: 'advanced',
    minThreads: slots,
    maxThreads: slots,
  });
  return {
    run: (value) => pool.run(value, { name }),
    close: () => pool.destroy(),
  };
}

async function openJestWorker({ module, name }, enableWorkerThreads) {
  const { Worker } = await import('jest-worker');
  const worker = new Worker(fileURLToPath(module), {
    exposedMethods: [name],
    numWorkers: slots,
    enableWorkerThreads,
  });
  return { run: (value) => worker[name](value), close: () => worker.end() };
}

async function openWorkerpool({ module, name }, workerType) {
  const { default: workerpool } = await import('workerpool');
  const pool = workerpool.pool(pathOf('workerpool-worker.mjs'), {
    workerType,
    minWorkers: slots,
    maxWorkers: slots,
    workerThreadOpts: { argv: [module] },
    forkArgs: [module],
    forkOpts: { serialization: 'advanced' },
  });
  return {
    run: (value) => pool.exec(name, [value]),
    close: () => pool.terminate(),
  };
}

function openForks({ module, name }) {
  const run = limited(slots, async (value) => {
    const child = fork(pathOf('call-once.mjs'), { serialization: 'advanced' });
    const exited = once(child, 'exit');
    child.send({ module, name, value });
    const [result] = await once(child, 'message');
    await exited;
    return result;
  });
  return { run, close: () => undefined };
}

/** Lets so many calls run at once. The others wait for their turn. */
function limited(free, call) {
  const waiting = [];
  return async (value) => {
    if (free === 0) await new Promise((resolve) => waiting.push(resolve));
    else free -= 1;
    try {
      return await call(value);
    } finally {
      const next = waiting.shift();
      if (next === undefined) free += 1;
      else next();
    }
  };
}

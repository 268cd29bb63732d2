// A random stream of calls through several handles, and what became of each.
import { setTimeout as sleep } from 'node:timers/promises';
import { inspect } from 'node:util';
import { Jobserver, JobserverExecutor, allocate, move, share } from 'jobserver';
import {
  big,
  compute,
  die,
  exit,
  fail,
  large,
  leaveTimer,
  nest,
  pause,
  quick,
} from './jobs.mjs';

const jobs = {
  big,
  compute,
  die,
  exit,
  fail,
  large,
  leaveTimer,
  nest,
  pause,
  quick,
};
const preload = [new URL('jobs.mjs', import.meta.url)];

/** How a Jobserver is made; its zygote ends with it. */
const options = {
  several: { jobsPerProcess: Infinity },
  few: { jobsPerProcess: 3, idleTimeout: 20, preload },
  spawned: { context: 'spawn', jobsPerProcess: Infinity },
};

/** Handles whose processes start in one way, and end after many jobs. */
export function openReused() {
  return open(options.several, options.spawned);
}

/** Handles that differ in how their processes start and how long they live. */
export function openAll() {
  const { all, close } = open(options.several, options.few, options.spawned);
  const [several, few] = all;
  const derived = [
    several.with({ env: { CHAOS: 'other' } }),
    several.reviseEnv({ NODE_OPTIONS: '--stack-trace-limit=20' }),
    several.with({ jobsPerProcess: 1 }),
    few.with({ jobsPerProcess: 1 }),
  ];
  // The cheap ones are used most.
  const cheap = [...Array(30).fill(several), few, few];
  return { all: [...all, ...cheap, ...derived], close };
}

function open(...given) {
  const all = given.map(
    (each) => new Jobserver({ ...each, forkserverKeepAlive: 0 }),
  );
  return { all, close: () => Promise.all(all.map((js) => js.close())) };
}

const many = ['quick', 'quick', 'quick', 'compute', 'pause', 'large'];
const harmless = [...many, ...many, 'big'];

/** Their processes end with them, or their jobs take long. */
function harmful(canNest) {
  const kinds = ['fail', 'exit', 'die', 'leaveTimer'];
  return canNest ? [...kinds, 'nest', 'nest', 'nest'] : kinds;
}

/** 32 KiB to 8 MiB of one byte, and how they go there and back. */
function bigArgs(random) {
  const length = Math.floor(2 ** (15 + 8 * random.next()));
  const byte = random.below(256);
  const kinds = ['plain', 'moved', 'allocated', 'shared'];
  const memory = {
    plain: () => new Uint8Array(length).fill(byte),
    moved: () => move(new Uint8Array(length).fill(byte)),
    allocated: () => move(new Uint8Array(allocate(length)).fill(byte)),
    shared: () => new Uint8Array(share(new Uint8Array(length).fill(byte))),
  };
  const there = random.pick(kinds);
  // What is shared cannot be moved.
  const back = random.pick(
    kinds.filter((kind) => there !== 'shared' || kind !== 'moved'),
  );
  const args = [memory[there](), back];
  return { args, expected: { length, byte } };
}

function randomCall({ random, canNest, isGentle }) {
  const isHarmless = isGentle || random.chance(canNest ? 0.8 : 0.97);
  const name = random.pick(isHarmless ? harmless : harmful(canNest));
  const jobsPerProcess = random.pick([1, 2, Infinity]);
  const args = {
    compute: [random.below(12)],
    pause: [random.below(30)],
    large: [Buffer.alloc(random.below(200_000), random.below(256))],
    nest: [{ depth: random.below(3), width: random.below(3), jobsPerProcess }],
  };
  if (name === 'big') return { name, ...bigArgs(random) };
  return { name, args: args[name] ?? [] };
}

function isFilled(bytes, { length, byte }) {
  return Buffer.compare(bytes, Buffer.alloc(length, byte)) === 0;
}

/** Throws if `value` is not what the job returns. */
function checkValue({ name, id, args, expected }, value) {
  const isRight =
    value.id === id &&
    (name !== 'large' || Buffer.compare(value.bytes, args[0]) === 0) &&
    (name !== 'big' || isFilled(value.bytes, expected));
  if (!isRight) throw new Error(`${id} (${name}) has the value of another job`);
}

/** The processes of these jobs end with them. */
const leavers = ['exit', 'die', 'leaveTimer'];
const ends = { exit: { exitCode: 7 }, die: { signal: 'SIGKILL' } };

export class Load {
  /** Calls that have not settled. */
  open = new Map();
  /** Jobs that must not have begun. */
  neverBegan = new Set();
  /** Jobs that have returned, and so must have begun. */
  returned = new Set();
  /** A line for each job that was lost for a reason that is not its own. */
  losses = [];
  counts = {};
  #options;
  #number = 0;
  /** How many open calls may end their processes. */
  #ends = 0;

  /**
   * `random`, and `log`, the path of the log. `name` begins the ids of the jobs.
   * `canNest`: some of the jobs submit jobs. `isGentle`: no
   * job ends its process or is killed. `onEnds` gets the number of calls that may
   * end their processes, before they do so and after they have settled.
   */
  constructor(options) {
    this.#options = { onEnds: () => undefined, ...options };
  }

  /** Keeps `width` calls open until `isOver` returns true. */
  async run(handles, width, isOver) {
    const { random } = this.#options;
    const executors = handles.map((js) => new JobserverExecutor(js));
    const loop = async () => {
      while (!isOver()) {
        const i = random.below(handles.length);
        // Some submits come in bursts, so that calls are sent ahead.
        const burst = random.chance(0.2) ? 20 : 1;
        const calls = Array.from({ length: burst }, () =>
          this.#call(handles[i], executors[i]),
        );
        await Promise.all(calls);
      }
    };
    await Promise.all(Array.from({ length: width }, loop));
    await Promise.all(executors.map((executor) => executor.shutdown()));
  }

  async #call(js, executor) {
    const { random, log, name: prefix } = this.#options;
    const call = randomCall(this.#options);
    call.id = `${prefix}${this.#number++}`;
    const args = [log, call.id, ...call.args];
    const start = random.chance(0.15) ? this.#viaExecutor : this.#viaSubmit;
    this.open.set(call.id, call);
    if (leavers.includes(call.name)) this.#noteEnd(call);
    try {
      const value = await start.call(this, call, { js, executor, args });
      if (value !== undefined) this.#onValue(call, value);
    } catch (error) {
      this.#onError(call, error);
    } finally {
      this.open.delete(call.id);
      if (call.mayEnd) this.#options.onEnds((this.#ends -= 1));
    }
  }

  #noteEnd(call) {
    if (call.mayEnd) return;
    call.mayEnd = true;
    this.#options.onEnds((this.#ends += 1));
  }

  async #viaExecutor(call, { executor, args }) {
    const { random } = this.#options;
    const promise = executor.submit(jobs[call.name], ...args);
    if (!random.chance(0.3)) return promise;
    const settled = promise.then(
      (value) => ({ value }),
      (error) => ({ error }),
    );
    await sleep(random.below(10));
    const isCancelled = promise.cancel();
    if (isCancelled) this.neverBegan.add(call.id);
    call.isCancelled = isCancelled;
    const { value, error } = await settled;
    if (error !== undefined) throw error;
    return value;
  }

  async #viaSubmit(call, { js, args }) {
    const { random, isGentle } = this.#options;
    const options = {};
    if (random.chance(0.1)) options.timeout = random.below(50);
    const mayEnd = !isGentle;
    if (mayEnd && random.chance(0.05)) {
      options.signal = AbortSignal.timeout(random.below(40));
      this.#noteEnd(call);
    }
    Object.assign(call, options);
    let future;
    try {
      future = await js.submit(jobs[call.name], args, options);
    } catch (error) {
      this.neverBegan.add(call.id);
      throw error;
    }
    let doneCount = 0;
    future.whenDone(() => (doneCount += 1));
    if (mayEnd && random.chance(0.03)) {
      await sleep(random.below(20));
      this.#noteEnd(call);
      call.isKilled = future.kill(random.pick(['SIGKILL', 'SIGTERM']));
    }
    try {
      return await future.result();
    } finally {
      if (doneCount !== 1) this.#fault(call, `was done ${doneCount} times`);
    }
  }

  #onValue(call, value) {
    checkValue(call, value);
    if (call.name in ends) this.#fault(call, 'returned');
    this.#count('value');
    this.returned.add(call.id);
    for (const error of value.losses ?? []) this.#lose(call, error);
  }

  #onError(call, error) {
    this.#count(error.name);
    const { name, id, signal, timeout } = call;
    if (error.name === 'AbortError' && signal?.aborted) return;
    if (error.name === 'AbortError' && call.isCancelled) return;
    if (error.name === 'Blocked' && timeout !== undefined) return;
    if (name === 'fail' && error.message === `thrown by ${id}`) return;
    if (error.name !== 'LostResult') throw error;
    if (call.isKilled) return;
    const own = ends[name];
    const isOwn =
      own !== undefined &&
      Object.entries(own).every(([key, value]) => error[key] === value);
    if (!isOwn) this.#lose(call, error);
  }

  #lose({ id, name }, error) {
    this.losses.push(
      `${id} (${name}): ${inspect(error, { breakLength: Infinity })}`,
    );
  }

  #fault({ id, name }, text) {
    throw new Error(`${id} (${name}) ${text}`);
  }

  #count(name) {
    this.counts[name] = (this.counts[name] ?? 0) + 1;
  }
}

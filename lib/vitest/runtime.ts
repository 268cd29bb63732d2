// What runs in the process of a test file: vitest's worker, which talks to vitest over
// a port. It is imported once, in the zygote; each file is a call of `run` in a fork.
import { deserialize, serialize } from 'node:v8';
import { jobInfo } from '../job/info.js';
import type { JobPort } from '../protocol/job-port.js';

/** What this needs of `vitest/worker`. */
export interface VitestWorker {
  readonly init: (worker: object) => void;
  readonly runBaseTests: (
    method: string,
    state: unknown,
    traces: unknown,
  ) => Promise<void>;
  readonly setupEnvironment: (context: unknown) => Promise<unknown>;
}

export interface RuntimeData {
  /** The URL of `vitest/worker`, of the vitest that runs. */
  readonly worker: string;
  /** How the environment of test files differs from that of vitest. */
  readonly env: Readonly<Record<string, string | null>>;
}

type Listener = (message: unknown) => void;

/** What a rehearsal has left, which vitest does once in each process. */
export interface Habits {
  readonly console: Console;
  /** The variables that it has set. */
  readonly env: ReadonlyMap<string, string>;
  readonly listeners: readonly (readonly [
    event: string,
    listener: (...args: unknown[]) => void,
  ])[];
}

const profiles = /^--(cpu-prof|heap-prof|prof)/;

const host: { exit: typeof process.exit } = process;
// Tests may replace it.
const exit = process.exit.bind(process);

let loaded: VitestWorker | undefined;
let habits: Habits | undefined;

/** In the zygote, before the modules of the user are imported. */
export async function setUp({ worker, env }: RuntimeData): Promise<void> {
  // A job that is spawned loads what it needs, which is nothing in one of a test.
  if (jobInfo() !== undefined) return;
  for (const [name, value] of Object.entries(env)) {
    if (value === null) delete process.env[name];
    else process.env[name] = value;
  }
  await load(worker);
}

export async function load(worker: string): Promise<VitestWorker> {
  loaded ??= (await import(worker)) as VitestWorker;
  return loaded;
}

/** In the zygote: what forks have to do again. */
export function keep(kept: Habits): void {
  habits = kept;
}

/** The job: serves vitest, or a rehearsal, until that closes the port. */
export async function run(port: JobPort, worker: string): Promise<void> {
  const vitest = await load(worker);
  // Node writes a profile when the process exits, and vitest ends it by a signal.
  if (process.execArgv.some((option) => profiles.test(option))) {
    process.on('SIGTERM', () => exit());
  }
  const listeners = new Set<Listener>();
  const closed = new Promise<void>((resolve) => {
    port.once('close', () => resolve());
  });
  serve(vitest, port, listeners);
  port.on('message', (message) => {
    const decoded: unknown = deserialize(message as Uint8Array);
    for (const listener of [...listeners]) listener(decoded);
  });
  await closed;
}

/** When vitest would do it: an environment is set up before, without all that. */
function resume(): void {
  if (guard !== undefined) host.exit = guard;
  if (habits === undefined) return;
  globalThis.console = habits.console;
  for (const [name, value] of habits.env) process.env[name] ??= value;
  for (const [event, listener] of habits.listeners) process.on(event, listener);
}

/** What vitest has put in the place of `process.exit` while tests run, once. */
let guard: typeof process.exit | undefined;

/** Starts vitest's worker. `listeners` is filled with what it has messages sent to. */
function serve(
  vitest: VitestWorker,
  port: JobPort,
  listeners: Set<Listener>,
): void {
  let isFirst = true;
  // Not an async function, which would be in the stacks of errors that vitest prints.
  const runTests =
    (method: string) =>
    (state: unknown, traces: unknown): Promise<void> => {
      if (isFirst) resume();
      isFirst = false;
      return vitest.runBaseTests(method, state, traces).finally(() => {
        guard ??= host.exit;
        host.exit = exit;
      });
    };
  vitest.init({
    // As vitest's own pool encodes it, so that errors of values are the same.
    post: (message: unknown) => {
      port.postMessage(serialize(message));
    },
    on: (listener: Listener) => listeners.add(listener),
    off: (listener: Listener) => listeners.delete(listener),
    teardown: () => {
      listeners.clear();
    },
    runTests: runTests('run'),
    collectTests: runTests('collect'),
    setup: (context: unknown) => vitest.setupEnvironment(context),
  });
}

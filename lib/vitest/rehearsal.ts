// The warm-up: in the zygote, vitest's worker runs a test file that is made up, from the
// set-up of the environment to its end, and talks over a port as in a job. V8 compiles what
// it runs, and forks inherit the machine code. There is no vitest, so its few questions are
// answered here.
import { clearTimeout, setTimeout } from 'node:timers';
import { deserialize, serialize } from 'node:v8';
import { jobInfo } from '../job/info.js';
import { channel } from '../protocol/channel.js';
import type { JobPort } from '../protocol/job-port.js';
import { trace } from '../system/trace.js';
import type { Config } from './project.js';
import { type Habits, keep, run } from './runtime.js';

export interface RehearsalData {
  /** The URL of `vitest/worker`. */
  readonly worker: string;
  /** vitest's configuration, without what would run code of the user. */
  readonly config: Config;
  readonly environment: Readonly<Record<string, unknown>>;
  /** The test file, as Vite transforms it. */
  readonly code: string;
}

// V8 compiles lazily at first, and keeps what has run a few times.
const rehearsals = 3;

// It takes less than a second, even on a slow machine.
const patienceMs = 20_000;

const once = ['uncaughtException', 'unhandledRejection'];

/**
 * In the zygote, after all other modules. Never rejects: without it, files only start
 * more slowly. `patience`: in milliseconds.
 */
export async function setUp(
  data: RehearsalData,
  patience = patienceMs,
): Promise<void> {
  if (jobInfo() !== undefined) return;
  // The library listens as well, once this has begun.
  await Promise.resolve();
  const before = once.map((event) => process.listeners(event as 'exit'));
  const env = new Map(Object.entries(process.env));
  const globals = Object.getOwnPropertyDescriptors(globalThis);
  const timers = noteTimers();
  let fail: (error: Error) => void;
  const failure = new Promise<never>((_, reject) => {
    fail = reject;
    const error = new Error('it takes too long');
    timers.push(setTimeout(reject, patience, error));
  });
  process.on('uncaughtException', fail!);
  try {
    await rehearse(data, failure);
  } catch (error) {
    trace('no rehearsal of vitest: %o', error);
  } finally {
    process.off('uncaughtException', fail!);
    for (const timer of timers) clearTimeout(timer);
    // Jobs of tests are forked from this process, too, and have nothing to do with
    // vitest.
    keep({
      console: globalThis.console,
      listeners: takeListeners(before),
      env: takeVariables(env),
    });
    // The console, and what the environment has put back as properties of another kind.
    Object.defineProperties(globalThis, globals);
  }
}

/**
 * Returns an array that gets each timer which somebody sets by the global `setTimeout` from
 * now on. The caller clears them, because vitest does not: it reports tests by a timer of
 * 100 ms, and the zygote would wait until that has fired.
 */
function noteTimers(): NodeJS.Timeout[] {
  const timers: NodeJS.Timeout[] = [];
  const noting = (...args: Parameters<typeof setTimeout>): NodeJS.Timeout => {
    const timer = setTimeout(...args);
    timers.push(timer);
    return timer;
  };
  const { setTimeout: original } = globalThis;
  globalThis.setTimeout = Object.assign(noting, original);
  return timers;
}

function takeListeners(
  before: readonly (readonly Function[])[],
): Habits['listeners'] {
  return once.flatMap((event, i) =>
    process
      .listeners(event as 'exit')
      .filter((listener) => !before[i]!.includes(listener))
      .map((listener) => {
        process.off(event, listener);
        return [event, listener as (...args: unknown[]) => void] as const;
      }),
  );
}

/** Those that each worker is told are not among them. */
function takeVariables(before: ReadonlyMap<string, unknown>): Habits['env'] {
  const added = new Map<string, string>();
  for (const [name, value] of Object.entries(process.env)) {
    if (before.has(name)) continue;
    delete process.env[name];
    if (!/^VITEST_(POOL|WORKER)_ID$/.test(name)) added.set(name, value!);
  }
  return added;
}

async function rehearse(
  data: RehearsalData,
  failure: Promise<never>,
): Promise<void> {
  for (let i = 0; i < rehearsals; i++) {
    const [port, theirs] = channel();
    const served = run(theirs, data.worker);
    try {
      await Promise.race([new Stage(data, port).play(), served, failure]);
    } finally {
      port.close();
      await served;
    }
  }
}

/** A response of the worker, or a call of one of vitest's functions. */
interface Message {
  readonly __vitest_worker_response__?: boolean;
  readonly type?: string;
  readonly error?: unknown;
  /** Of a call: 'q', its number, the function and its arguments. */
  readonly t?: string;
  readonly i?: string;
  readonly m?: string;
  readonly a?: readonly unknown[];
}

/** Stands for vitest, to one worker. */
class Stage {
  readonly #data: RehearsalData;
  readonly #port: JobPort;
  readonly #file: string;
  #onResponse: ((response: Message) => void) | undefined;

  constructor(data: RehearsalData, port: JobPort) {
    this.#data = data;
    this.#port = port;
    this.#file = `${String(data.config['root'])}/jobserver-rehearsal.test.js`;
    port.on('message', (message) => {
      this.#receive(deserialize(message as Uint8Array) as Message);
    });
  }

  async play(): Promise<void> {
    const { config, environment } = this.#data;
    const common = { config, environment, pool: 'jobserver' };
    await this.#request('start', 'started', {
      poolId: 1,
      workerId: 1,
      options: { reportMemory: false },
      traces: { enabled: false },
      context: common,
    });
    await this.#request('run', 'testfileFinished', {
      context: {
        ...common,
        workerId: 1,
        files: [{ filepath: this.#file }],
        invalidates: [],
        providedContext: {},
        projectName: config['name'] ?? '',
      },
    });
    await this.#request('stop', 'stopped', {});
  }

  async #request(type: string, answer: string, content: object): Promise<void> {
    const answered = new Promise<void>((resolve, reject) => {
      this.#onResponse = ({ type: given, error }) => {
        if (given !== answer) return;
        if (error === undefined) resolve();
        else reject(asError(error));
      };
    });
    this.#tell({ __vitest_worker_request__: true, type, ...content });
    await answered;
  }

  #tell(message: unknown): void {
    this.#port.postMessage(serialize(message));
  }

  #receive(message: Message): void {
    if (message.__vitest_worker_response__ === true) {
      this.#onResponse?.(message);
      return;
    }
    const { t, i, m, a = [] } = message;
    if (t !== 'q' || i === undefined) return;
    this.#tell({ t: 's', i, ...this.#answer(m, a) });
  }

  #answer(
    name: string | undefined,
    [id]: readonly unknown[],
  ): { r?: unknown; e?: unknown } {
    const file = this.#file;
    if (name === 'resolve') {
      return { r: id === file ? { id, url: id, file } : null };
    }
    // To be read: there is none.
    if (name === 'resolveSnapshotPath') return { r: `${file}.snap` };
    if (name !== 'fetch') return {};
    if (id !== file) return { e: new Error(`${String(id)} is not rehearsed`) };
    const { code } = this.#data;
    return { r: { code, file, id: file, url: file, invalidate: false } };
  }
}

function asError(error: unknown): Error {
  const { message = error } = error as { message?: unknown };
  return new Error(String(message), { cause: error });
}

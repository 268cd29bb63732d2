// Starts the processes of files that can be forked from the same zygote: those of a
// project with the same environment and options of node.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Blocked } from '../errors.js';
import type { JobControls } from '../job/job-controls.js';
import type { Future } from '../job/future.js';
import type { PreloadedModule } from '../job/preparation.js';
import type { Jobserver } from '../jobserver.js';
import { channel } from '../protocol/channel.js';
import type { JobPort } from '../protocol/job-port.js';
import { trace } from '../system/trace.js';
import type { Host } from './host.js';
import type { Lessons } from './lessons.js';
import type { PoolRequest } from './project.js';
import { rehearsalOf } from './script.js';

export interface HubSettings {
  readonly controls: JobControls;
  /** The URLs of the modules to preload. */
  readonly modules: () => Promise<readonly string[]>;
  readonly lessons: Lessons | undefined;
  readonly warmUp: boolean;
  /** False where each file has a new node, so that there is nothing to prepare. */
  readonly isForked: boolean;
}

export interface StartedFile {
  readonly future: Future<void>;
  readonly port: JobPort;
}

// A file that has ended may hold its slot while it hangs, and jobs of tests may hold
// all of them, but vitest waits for a start for 90 seconds only.
const patienceMs = 30_000;

const runtime = pathToFileURL(join(__dirname, 'runtime.js')).href;
const rehearsal = pathToFileURL(join(__dirname, 'rehearsal.js')).href;

export class Hub {
  readonly #host: Host;
  readonly #settings: HubSettings;
  readonly #worker: string;
  #base: Jobserver | undefined;
  /** Derived from that. */
  #handle: Promise<Jobserver> | undefined;

  constructor(host: Host, distPath: string, settings: HubSettings) {
    this.#host = host;
    this.#settings = settings;
    this.#worker = pathToFileURL(join(distPath, 'worker.js')).href;
  }

  get lessons(): Lessons | undefined {
    return this.#settings.lessons;
  }

  /** Starts a process that waits for the requests of vitest. */
  async start(request: PoolRequest): Promise<StartedFile> {
    const base = this.#host.acquire(workersOf(request));
    try {
      if (base !== this.#base) this.#handle = undefined;
      this.#base = base;
      this.#handle ??= this.#prepare(base, request);
      const handle = (await this.#handle).with({ env: envOf(request) });
      return await this.#submit(handle);
    } catch (error) {
      this.#handle = undefined;
      this.#host.release();
      throw error;
    }
  }

  /** The process has ended. */
  release(): void {
    this.#host.release();
  }

  async #submit(handle: Jobserver): Promise<StartedFile> {
    try {
      return await this.#tryStart(handle, { timeout: patienceMs });
    } catch (error) {
      if (!(error instanceof Blocked)) throw error;
      return this.#tryStart(handle, { consume: 0 });
    }
  }

  async #tryStart(
    handle: Jobserver,
    options: { timeout?: number; consume?: 0 },
  ): Promise<StartedFile> {
    const [port, theirs] = channel();
    const future = await handle.submit<unknown[], void>(
      `${runtime}#run`,
      [theirs, this.#worker],
      options,
    );
    return { future, port };
  }

  async #prepare(base: Jobserver, request: PoolRequest): Promise<Jobserver> {
    const { controls, modules, lessons, isForked } = this.#settings;
    const { outputStream, errorStream } = request.project.vitest.logger;
    const common = base.with({
      ...controls,
      execArgv: request.execArgv,
      inheritExecArgv: false,
      output: (chunk, stream) => {
        (stream === 'stdout' ? outputStream : errorStream).write(chunk);
      },
    });
    if (!isForked) return common;
    const named = await modules();
    // Those of earlier runs of this process, in watch mode.
    lessons?.save();
    const learned = lessons?.modules ?? [];
    try {
      return await this.#ready(common, request, [...named, ...learned]);
    } catch (error) {
      if (learned.length === 0) throw error;
      trace('modules that files have imported cannot be preloaded: %o', error);
      lessons!.refuse(error);
      return this.#ready(common, request, named);
    }
  }

  /** With the zygote. Rejects when that cannot import a module. */
  async #ready(
    common: Jobserver,
    request: PoolRequest,
    modules: readonly string[],
  ): Promise<Jobserver> {
    const worker = this.#worker;
    const env = envOf(request);
    const preload: (string | PreloadedModule)[] = [
      { module: runtime, data: { worker, env } },
      ...modules,
    ];
    const data = this.#settings.warmUp
      ? await rehearsalOf(request, worker)
      : undefined;
    if (data !== undefined) {
      try {
        const all = [...preload, { module: rehearsal, data }];
        return await this.#startZygote(common.with({ preload: all }), env);
      } catch (error) {
        // Files only start more slowly without it.
        if (!String(error).includes(rehearsal)) throw error;
        trace('no rehearsal of vitest: %o', error);
      }
    }
    return this.#startZygote(common.with({ preload }), env);
  }

  async #startZygote(
    handle: Jobserver,
    env: Record<string, string | null>,
  ): Promise<Jobserver> {
    // Some variables decide which zygote it is.
    await handle.with({ env }).ready();
    return handle;
  }
}

/** Requests of equal keys, of one project, have a hub in common. */
export function hubKeyOf({ environment, execArgv }: PoolRequest): string {
  return JSON.stringify([environment.name, environment.options, execArgv]);
}

function workersOf({ project }: PoolRequest): number {
  const { config, vitest } = project;
  const counts = [config.maxWorkers, vitest.config.maxWorkers].map(Number);
  return Math.max(1, ...counts.filter(Number.isSafeInteger));
}

/** How the environment that vitest has made for files differs from its own. */
function envOf({ env }: PoolRequest): Record<string, string | null> {
  const changed: Record<string, string | null> = {};
  for (const [name, value] of Object.entries(env)) {
    // Node makes strings of other values as well.
    const text = value === undefined ? null : String(value);
    if (text !== (process.env[name] ?? null)) changed[name] = text;
  }
  for (const name of Object.keys(process.env)) {
    if (!(name in env)) changed[name] = null;
  }
  return changed;
}

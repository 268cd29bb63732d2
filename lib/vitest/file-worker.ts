// Runs a test file, or without isolation several: a job that talks to vitest over a
// port. vitest starts it, sends it requests and stops it.
import { EventEmitter } from 'node:events';
import { clearTimeout, setTimeout } from 'node:timers';
import { deserialize, serialize } from 'node:v8';
import type { Future } from '../job/future.js';
import type { JobPort } from '../protocol/job-port.js';
import type { Hub } from './hub.js';
import type { JobserverPoolWorker } from './pool.js';
import type { PoolRequest } from './project.js';

// What vitest's own pool allows a process after SIGTERM.
const graceMs = 500;

/** What vitest sends: see `WorkerRequest` there. */
interface Request {
  readonly type?: string;
  readonly context?: { readonly files?: readonly { filepath: string }[] };
  /** The answer to a call of the worker: a module, or modules by their URLs. */
  readonly r?: unknown;
}

export class FileWorker implements JobserverPoolWorker {
  readonly name: string;
  /** vitest hands transformed modules over as files. */
  readonly cacheFs = true;
  readonly #hub: Hub;
  readonly #request: PoolRequest;
  readonly #events = new EventEmitter();
  #job: { future: Future<void>; port: JobPort } | undefined;
  /** Settled when the process has ended. */
  #ended: Promise<unknown> = Promise.resolve();
  #isStopping = false;
  /** It has been asked to tear down what it has set up. */
  #isLeaving = false;
  /** What it runs at present. */
  #files: readonly string[] = [];
  /** What its files have imported that Node loads, if anybody wants to know. */
  readonly #imported: Set<string> | undefined;

  constructor(name: string, hub: Hub, request: PoolRequest) {
    this.name = name;
    this.#hub = hub;
    this.#request = request;
    this.#imported = hub.lessons && new Set();
  }

  on(event: string, callback: (value: unknown) => void): void {
    this.#events.on(event, callback);
  }

  off(event: string, callback: (value: unknown) => void): void {
    this.#events.off(event, callback);
  }

  async start(): Promise<void> {
    if (this.#job !== undefined) return;
    this.#job = await this.#hub.start(this.#request);
    const { future, port } = this.#job;
    port.on('message', (message) => {
      this.#events.emit('message', message);
    });
    this.#ended = future.result().then(
      () => this.#onEnd(undefined),
      (error: unknown) => this.#onEnd(error),
    );
  }

  send(message: unknown): void {
    const { type, context, r } = message as Request;
    this.#isLeaving ||= type === 'stop';
    if (context?.files !== undefined && type !== 'start') {
      this.#files = context.files.map(({ filepath }) => filepath);
    }
    const sent =
      this.#imported === undefined || r === undefined
        ? message
        : { ...(message as object), r: this.#learn(r) };
    this.#job?.port.postMessage(serialize(sent));
  }

  deserialize(data: unknown): unknown {
    return data instanceof Uint8Array ? deserialize(data) : data;
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    const job = this.#job;
    if (job === undefined) return;
    this.#job = undefined;
    const { future, port } = job;
    future.kill('SIGTERM');
    const timer = setTimeout(() => future.kill('SIGKILL'), graceMs);
    await this.#ended;
    clearTimeout(timer);
    port.close();
    if (this.#imported !== undefined) this.#hub.lessons?.add(this.#imported);
    this.#hub.release();
  }

  /**
   * Notes a module that the worker has asked for and that Node loads. vitest 5 also sends
   * the worker the modules that other workers have asked for. The pool leaves them out,
   * because the worker does not ask for a module that it has been sent.
   */
  #learn(answer: unknown): unknown {
    const external = externalOf(answer);
    if (external !== undefined) this.#imported!.add(external);
    if (!isRecord(answer)) return answer;
    const all = Object.entries(answer);
    const others = all.filter(([, each]) => externalOf(each) === undefined);
    return others.length === all.length ? answer : Object.fromEntries(others);
  }

  #onEnd(error: unknown): void {
    if (this.#isStopping) return;
    const ended = whyEnded(error, this.#files);
    // vitest waits for the answer to 'stop', and no longer listens to errors.
    if (this.#isLeaving) {
      this.#respond('stopped', ended);
      return;
    }
    this.#events.emit('error', ended);
    // Or vitest would wait for the start.
    this.#respond('started', ended);
  }

  #respond(type: string, error: Error): void {
    const response = { __vitest_worker_response__: true, type, error };
    this.#events.emit('message', response);
  }
}

/** Where Node finds a module that vitest leaves to it. */
function externalOf(answer: unknown): string | undefined {
  if (!isRecord(answer)) return undefined;
  const { externalize } = answer;
  return typeof externalize === 'string' ? externalize : undefined;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** vitest's own pool says no more than the first three words. */
function whyEnded(error: unknown, files: readonly string[]): Error {
  const { message = 'its job has returned', cause } =
    error instanceof Error ? error : {};
  const why = message.replace(/^Job \d+ ended without a result: /, '');
  const place = files.length === 0 ? '' : ` in ${files.join(', ')}`;
  const ended = new Error(
    `Worker exited unexpectedly${place}: ${why}`,
    cause === undefined ? undefined : { cause },
  );
  // The stack would show where this file makes the error, which is no help to the user.
  ended.stack = `Error: ${ended.message}`;
  return ended;
}

// In a job: runs calls of its own that no host has begun soon, in the pool of its host,
// and there at last in its own slot, which it lends while it waits. So work that is
// nested deeper than all slots of all hosts goes on.
import { clearTimeout, setTimeout } from 'node:timers';
import type { Call } from '../job/encode-call.js';
import { futureControl } from '../job/future.js';
import { admitAlways } from '../job/submission.js';
import type { JobRequest } from '../job/waiting-call.js';
import { Jobserver, jobserverControl } from '../jobserver.js';
import { never } from '../system/deadline.js';
import { decode } from '../wire/value.js';
import type { Arrival } from './arrival.js';
import { hostControls } from './controls.js';
import type { Flight } from './flight.js';
import { joiningOf } from './joined.js';
import { localRefOf } from './portable-function.js';
import type { Submissions } from './submissions.js';

const patienceMs = 50;

export class Claims {
  readonly #submissions: Submissions;
  #jobserver: Jobserver | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** One is taken back at a time, because hosts may have slots for the others. */
  #isBusy = false;

  constructor(submissions: Submissions) {
    this.#submissions = submissions;
  }

  /** Calls may wait for a host. */
  watch(): void {
    if (this.#isBusy) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      void this.#claim();
    }, patienceMs).unref();
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#jobserver?.close();
  }

  async #claim(): Promise<void> {
    if (this.#isBusy) return;
    this.#isBusy = true;
    try {
      for (const flight of this.#submissions.waiting()) {
        if (!flight.isAdded) continue;
        if (!(await this.#submissions.orders.takeBack(flight))) continue;
        if (flight.isOver) continue;
        this.#submissions.leaveQueue(flight);
        this.#submissions.settle(flight, await this.#run(flight));
        break;
      }
    } catch {
      // The server is away. What it has, a host may begin later.
    } finally {
      this.#isBusy = false;
    }
    if (this.#submissions.waiting().next().done !== true) this.watch();
  }

  async #run(flight: Flight): Promise<Arrival> {
    try {
      const value = await this.#result(flight);
      flight.outcome = 'value';
      return { isError: false, value };
    } catch (error) {
      return { isError: true, error, isLost: false };
    }
  }

  #result(flight: Flight): Promise<unknown> {
    const { fn, mapping, args, controls, priority, signal, record } =
      flight.plan;
    const { settings } = this.#submissions.connection;
    const { promise } = flight.call;
    const { onReport, listener, sent, retries } = controls;
    this.#jobserver ??= new Jobserver();
    const listen = (data: unknown, stream: 'stdout' | 'stderr'): unknown =>
      listener?.(data as never, stream, promise);
    const handle = this.#jobserver.with({
      ...hostControls(sent, settings.root),
      retries,
      ...(onReport && {
        onReport: (value: unknown) => {
          onReport(value, promise);
        },
      }),
      ...(sent.listens === 'chunks' && { output: listen }),
      ...(sent.listens === 'lines' && { output: { lines: listen } }),
    });
    const cluster = joiningOf(settings, priority);
    const call: Call = {
      target: localRefOf(fn, settings.root, 'of this job'),
      fn: record.name,
      args: decode(args) as unknown[],
      mapping,
      facts: { attempt: flight.attempt, cluster },
    };
    const plan = jobserverControl.plan(handle, call, signal);
    const request = {
      consume: 1,
      borrowing: 'late',
      gate: admitAlways,
      deadline: never,
      signal,
      plan,
      receivesCallbackErrors: false,
    } as const;
    return this.#ended(flight, handle, request);
  }

  #ended(
    flight: Flight,
    handle: Jobserver,
    request: JobRequest,
  ): Promise<unknown> {
    const { plan } = request;
    return new Promise((resolve, reject) => {
      jobserverControl.pool(handle).submit(request, (admission) => {
        if ('error' in admission) {
          reject(admission.error);
          return;
        }
        const { future } = admission;
        this.#submissions.start(flight);
        futureControl.follow(
          future,
          (value) => {
            flight.process.pid = plan.record.pid;
            flight.outcome = plan.record.outcome;
            resolve(value);
          },
          (error) => {
            flight.process.pid = plan.record.pid;
            flight.outcome = plan.record.outcome;
            reject(error);
          },
        );
      });
    });
  }
}

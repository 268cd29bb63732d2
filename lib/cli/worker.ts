// `jobserver worker`: a host of a queue, until a signal ends it.
import { constants } from 'node:os';
import type { ClusterHost } from '../bullmq/host.js';
import type { HostedJob } from '../bullmq/hosted-job.js';
import type { ValueStore } from '../bullmq/value-store.js';
import { Jobserver } from '../jobserver.js';
import type { Command } from './command.js';
import { exitCodes } from './exit.js';
import { type Answer, type Listening, type Routes, listen } from './http.js';
import { type Log, openLog } from './log.js';
import { Metrics, type WorkerState, outcomes } from './metrics.js';
import { reasonOf } from './reason.js';
import { loadStore } from './store.js';
import {
  type WorkerOptions,
  workerOptions,
  workerUsage,
} from './worker-options.js';

export const worker: Command = {
  usage: workerUsage,
  run: async (args) => {
    const options = workerOptions(args);
    // Jobs and what they start inherit the environment.
    delete process.env['JOBSERVER_KEY'];
    delete process.env['JOBSERVER_URL'];
    const jobserver = openJobserver(options);
    try {
      return await new Worker(options, jobserver).run();
    } finally {
      await jobserver.close();
    }
  },
};

const signals = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;

/** The same trouble is written once in this time. */
const quietMs = 10_000;

function openJobserver(options: WorkerOptions): Jobserver {
  const { slots, preload, context, jobsPerProcess } = options;
  const jobserver = new Jobserver({ slots, preload, context, jobsPerProcess });
  // A terminal sends Ctrl-C to the group of the worker, whose jobs have to go on.
  return jobserver.with({ processGroup: true });
}

class Worker {
  readonly #options: WorkerOptions;
  readonly #jobserver: Jobserver;
  readonly #log: Log;
  readonly #metrics: Metrics;
  readonly #servers: Listening[] = [];
  readonly #lastTrouble = { text: '', at: -Infinity };
  #host: ClusterHost | undefined;
  #isReady = false;
  #signals = 0;
  #finish!: (code: number) => void;
  #fail!: (error: unknown) => void;
  readonly #end = new Promise<number>((resolve, reject) => {
    this.#finish = resolve;
    this.#fail = reject;
  });

  constructor(options: WorkerOptions, jobserver: Jobserver) {
    const { queue, version = '', log } = options;
    this.#options = options;
    this.#jobserver = jobserver;
    this.#log = openLog(log);
    this.#metrics = new Metrics({ queue, version, node: process.version });
  }

  /** Resolves with the exit code. */
  async run(): Promise<number> {
    this.#takeWarnings();
    for (const signal of signals) process.on(signal, this.#onSignal);
    const interval = this.#options.logInterval;
    const timer =
      interval > 0 ? setInterval(this.#logState, interval).unref() : undefined;
    this.#start().catch((error: unknown) => {
      // A signal may have ended the start.
      if (this.#signals === 0) this.#fail(error);
    });
    try {
      return await this.#end;
    } catch (error) {
      this.#log('error', reasonOf(error));
      return exitCodes.failed;
    } finally {
      clearInterval(timer);
      for (const server of this.#servers) server.close();
      await this.#host?.close({ drain: false });
    }
  }

  async #start(): Promise<void> {
    const { store: module, root, shownUrl, showsPassword } = this.#options;
    if (showsPassword) {
      this.#log(
        'warn',
        'every user of this machine can read the password in the URL: set ' +
          'JOBSERVER_URL in its place',
      );
    }
    await this.#listen();
    // What the preloaded modules throw is an error of the worker, and not of jobs.
    const [store] = await Promise.all([
      module === undefined ? undefined : loadStore(module, root),
      this.#jobserver.ready(),
    ]);
    if (this.#signals > 0) return;
    this.#host = this.#openHost(store);
    this.#host.observe({ ended: this.#onEnded, error: this.#onError });
    this.#log('info', 'connects', { url: shownUrl, queue: this.#host.queue });
    await this.#host.ready();
    this.#isReady = true;
    const { id, name } = this.#host;
    const { slots } = this.#state;
    this.#log('info', 'takes jobs', {
      name,
      id,
      slots,
      root,
      pid: process.pid,
    });
  }

  #openHost(store: ValueStore | undefined): ClusterHost {
    const { url, queue, version, root, key, leaseMs, max, name } =
      this.#options;
    const { ClusterHost } =
      require('../bullmq/host.js') as typeof import('../bullmq/host.js');
    return new ClusterHost({
      connection: url,
      jobserver: this.#jobserver,
      ...{ queue, version, root, key, leaseMs, store, max, name },
    });
  }

  async #listen(): Promise<void> {
    const { health, metrics } = this.#options;
    const healthRoutes = {
      '/healthz': this.#health,
      '/readyz': this.#readiness,
    };
    const metricsRoutes = { '/metrics': this.#metricsText };
    if (
      health !== undefined &&
      metrics !== undefined &&
      isSame(health, metrics)
    ) {
      await this.#serve('health and metrics', health, {
        ...healthRoutes,
        ...metricsRoutes,
      });
      return;
    }
    if (health) await this.#serve('health', health, healthRoutes);
    if (metrics) await this.#serve('metrics', metrics, metricsRoutes);
  }

  async #serve(
    what: string,
    address: Parameters<typeof listen>[0],
    routes: Routes,
  ): Promise<void> {
    const server = await listen(address, routes);
    this.#servers.push(server);
    this.#log('info', `serves ${what}`, { url: server.url });
  }

  readonly #onSignal = (signal: (typeof signals)[number]): void => {
    this.#signals += 1;
    const code = 128 + constants.signals[signal];
    if (this.#signals > 2) process.exit(code);
    const isFirst = this.#signals === 1;
    const { running } = this.#state;
    this.#log('info', isFirst ? 'ends after its jobs' : 'ends its jobs', {
      signal,
      running,
    });
    const end = async (): Promise<void> => {
      await this.#host?.close({ drain: isFirst });
      if (isFirst && this.#signals > 1) return;
      this.#logState();
      this.#finish(isFirst ? exitCodes.done : code);
    };
    end().catch(this.#fail);
  };

  readonly #onEnded = (job: HostedJob): void => {
    const { id, name, outcome, reason, wait, run } = job;
    this.#metrics.ended(outcome!, run === undefined ? undefined : wait, run);
    if (outcome !== 'lost' && outcome !== 'refused') return;
    this.#log('warn', `job ${outcome}`, { id, name, reason });
  };

  readonly #onError = (error: Error): void => {
    const text = reasonOf(error);
    const now = performance.now();
    const last = this.#lastTrouble;
    if (text === last.text && now - last.at < quietMs) return;
    Object.assign(last, { text, at: now });
    this.#log('warn', text);
  };

  readonly #logState = (): void => {
    const { running, slots, isConnected } = this.#state;
    const counts = outcomes
      .map((name) => [name, this.#metrics.count(name)] as const)
      .filter(([, count]) => count > 0);
    const jobs = Object.fromEntries(counts);
    const connected = isConnected ? undefined : false;
    this.#log('info', 'state', { running, slots, ...jobs, connected });
  };

  get #state(): WorkerState {
    return {
      running: this.#host?.running ?? 0,
      slots: this.#jobserver.slots,
      isConnected: this.#isReady && this.#host!.isConnected,
      isDraining: this.#signals > 0,
    };
  }

  /** Whether this process works: what Redis does is no reason to start it again. */
  readonly #health = (): Answer => answer(true, this.#state);

  /** Whether it takes jobs. */
  readonly #readiness = (): Answer => {
    const { isConnected, isDraining } = this.#state;
    return answer(isConnected && !isDraining, this.#state);
  };

  readonly #metricsText = (): Answer => ({
    status: 200,
    type: 'text/plain; version=0.0.4; charset=utf-8',
    body: this.#metrics.text(this.#state),
  });

  /** Warnings of the process are lines like all others. */
  #takeWarnings(): void {
    process.removeAllListeners('warning');
    process.on('warning', (warning) => {
      const { code, name } = warning as NodeJS.ErrnoException;
      this.#log('warn', `${code ?? name}: ${warning.message}`);
    });
  }
}

function answer(isGood: boolean, state: WorkerState): Answer {
  return {
    status: isGood ? 200 : 503,
    type: 'application/json',
    body: `${JSON.stringify(state)}\n`,
  };
}

function isSame(
  a: { host: string | undefined; port: number },
  b: { host: string | undefined; port: number },
): boolean {
  return a.port !== 0 && a.port === b.port && a.host === b.host;
}

// What Prometheus is told about a worker, in its text format 0.0.4.
import { Histogram } from './histogram.js';

/** What may become of a job on this host: see `HostedJob`. */
export const outcomes = [
  'value',
  'error',
  'lost',
  'aborted',
  'refused',
] as const;
export type Outcome = (typeof outcomes)[number];

/** What a worker is doing now. */
export interface WorkerState {
  readonly running: number;
  /** Undefined where make owns them. */
  readonly slots: number | undefined;
  readonly isConnected: boolean;
  readonly isDraining: boolean;
}

export class Metrics {
  readonly #ended = new Map<Outcome, number>(outcomes.map((name) => [name, 0]));
  readonly #wait = new Histogram();
  readonly #run = new Histogram();
  readonly #info: string;

  /** @param labels say which worker this is. */
  constructor(labels: Readonly<Record<string, string>>) {
    this.#info = Object.entries(labels)
      .map(([name, value]) => `${name}="${escaped(value)}"`)
      .join(',');
  }

  /** A job has ended. Undefined times are not known. */
  ended(outcome: Outcome, waitMs?: number, runMs?: number): void {
    this.#ended.set(outcome, this.count(outcome) + 1);
    if (waitMs !== undefined) this.#wait.record(waitMs / 1e3);
    if (runMs !== undefined) this.#run.record(runMs / 1e3);
  }

  count(outcome: Outcome): number {
    return this.#ended.get(outcome)!;
  }

  text(state: WorkerState): string {
    const { running, slots, isConnected, isDraining } = state;
    const gauge = (name: string, help: string, value: number): string[] =>
      metric(name, 'gauge', help, [`${name} ${value}`]);
    const lines = [
      ...metric('jobserver_worker_info', 'gauge', 'Which worker this is.', [
        `jobserver_worker_info{${this.#info}} 1`,
      ]),
      ...metric(
        'jobserver_jobs_total',
        'counter',
        'Jobs that have ended here, by what became of them.',
        outcomes.map(
          (name) =>
            `jobserver_jobs_total{outcome="${name}"} ${this.count(name)}`,
        ),
      ),
      ...gauge('jobserver_jobs_running', 'Jobs that run here now.', running),
      ...(slots === undefined
        ? []
        : gauge('jobserver_slots', 'Jobs that may run here at once.', slots)),
      ...gauge(
        'jobserver_connected',
        'Whether Redis has confirmed this worker within its lease.',
        Number(isConnected),
      ),
      ...gauge(
        'jobserver_draining',
        'Whether this worker takes no new jobs.',
        Number(isDraining),
      ),
      ...metric(
        'jobserver_job_wait_seconds',
        'histogram',
        'From submit to the start of a job here.',
        this.#wait.lines('jobserver_job_wait_seconds'),
      ),
      ...metric(
        'jobserver_job_run_seconds',
        'histogram',
        'From the start of a job here to its end.',
        this.#run.lines('jobserver_job_run_seconds'),
      ),
      ...gauge(
        'process_start_time_seconds',
        'When the worker was started, in seconds since 1970.',
        Math.round(performance.timeOrigin / 1e3),
      ),
    ];
    return `${lines.join('\n')}\n`;
  }
}

function metric(
  name: string,
  type: 'counter' | 'gauge' | 'histogram',
  help: string,
  samples: readonly string[],
): string[] {
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...samples];
}

function escaped(value: string): string {
  return value.replace(/[\\"\n]/g, (c) => (c === '\n' ? '\\n' : `\\${c}`));
}

// The command line of `jobserver worker`.
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Context } from '../context.js';
import { parse } from './command.js';
import {
  type Connection,
  connectionOf,
  connectionOptions,
  connectionUsage,
} from './connection.js';
import { UsageError } from './exit.js';
import { type Address, addressOf, countOf, slotsOf } from './values.js';

export const workerUsage = `Usage: jobserver worker [options] [URL]

Runs jobs of a queue in Redis on this machine. URL is that of Redis or Valkey,
redis://HOST:PORT, or rediss://HOST:PORT for TLS; default: JOBSERVER_URL.

Where to find jobs:
${connectionUsage}      --root DIR       jobs call exports of modules in this folder, and of no
                       others; default: the working directory

How to run them:
  -j, --slots N        how many at once: 4, or relative to the CPUs: 50%, +1, -1;
                       default: the slots of the make that runs this, else
                       JOBSERVER_SLOTS, else the CPUs
      --max N          at most so many at once, of the slots
      --preload MODULE each job finds this module loaded; may be repeated; 'auto':
                       the modules of the jobs
      --context NAME   forkserver or spawn; default: forkserver on Linux
      --jobs-per-process N
                       how many jobs a process runs, one after another: 1 or more,
                       or Infinity; default: 1
      --store MODULE   its export \`store\` keeps large values, as that of the programs;
                       default: they are in Redis
      --lease MS       a host that is silent for so long has lost its jobs; default:
                       15000. Hosts and programs of a queue need the same one

How to watch it:
      --name NAME      what errors and \`jobserver status\` call it; default: the host name
      --log FORMAT     text or json, one line each; default: text
      --log-interval S seconds between the lines of state; default: 60, 0: none
      --health [HOST:]PORT
                       answers GET /healthz (it runs) and /readyz (it takes jobs)
      --metrics [HOST:]PORT
                       answers GET /metrics for Prometheus
  -h, --help           print this help

SIGTERM, SIGINT and SIGHUP let the jobs that run end, and start no other; a second one
kills them.

Exit codes: 0 ended by a signal, and each job has ended by itself; 1 failed, the last
line says why; 2 wrong command line; 128 + the number of the second signal.
`;

const options = {
  ...connectionOptions,
  root: { type: 'string' },
  slots: { type: 'string', short: 'j' },
  max: { type: 'string' },
  preload: { type: 'string', multiple: true },
  context: { type: 'string' },
  'jobs-per-process': { type: 'string' },
  store: { type: 'string' },
  lease: { type: 'string' },
  name: { type: 'string' },
  log: { type: 'string' },
  'log-interval': { type: 'string' },
  health: { type: 'string' },
  metrics: { type: 'string' },
} as const;

export interface WorkerOptions extends Connection {
  readonly root: string;
  readonly slots: number | undefined;
  readonly max: number | undefined;
  readonly preload: readonly string[] | undefined;
  readonly context: Context | undefined;
  readonly jobsPerProcess: number | undefined;
  /** A path, a package or a URL. */
  readonly store: string | undefined;
  readonly leaseMs: number | undefined;
  readonly name: string | undefined;
  readonly log: 'text' | 'json';
  /** Milliseconds; 0: never. */
  readonly logInterval: number;
  readonly health: Address | undefined;
  readonly metrics: Address | undefined;
}

/** @throws UsageError */
export function workerOptions(args: readonly string[]): WorkerOptions {
  const name = 'worker';
  const parsed = parse(name, args, options);
  const { values } = parsed;
  const { slots, max, lease, preload } = values;
  return {
    ...connectionOf(parsed, name),
    root: rootOf(values.root ?? '.'),
    slots: slots === undefined ? undefined : slotsOf(slots, name),
    max: countOf(max, '--max', name),
    preload,
    context: contextOf(values.context),
    jobsPerProcess: countOf(
      values['jobs-per-process'],
      '--jobs-per-process',
      name,
      true,
    ),
    store: values.store,
    leaseMs: countOf(lease, '--lease', name),
    name: values.name,
    log: logOf(values.log),
    logInterval: intervalOf(values['log-interval']),
    health: addressOf(values.health, '--health', name),
    metrics: addressOf(values.metrics, '--metrics', name),
  };
}

function rootOf(path: string): string {
  const root = resolve(path);
  const stat = statSync(root, { throwIfNoEntry: false });
  if (stat?.isDirectory() === true) return root;
  throw new UsageError(`--root ${root} is no folder`, 'worker');
}

function contextOf(name: string | undefined): Context | undefined {
  if (name === undefined) return undefined;
  // A worker waits for Redis while jobs start, so it cannot fork itself.
  if (name === 'forkserver' || name === 'spawn') return name;
  throw unknownValue('--context', 'forkserver or spawn', name);
}

function logOf(format = 'text'): 'text' | 'json' {
  if (format === 'text' || format === 'json') return format;
  throw unknownValue('--log', 'text or json', format);
}

function intervalOf(text = '60'): number {
  if (/^\d{1,6}$/.test(text)) return Number(text) * 1000;
  throw unknownValue('--log-interval', 'a number of seconds', text);
}

function unknownValue(option: string, expected: string, got: string): Error {
  const text = JSON.stringify(got);
  return new UsageError(
    `${option} has to be ${expected}; got ${text}`,
    'worker',
  );
}

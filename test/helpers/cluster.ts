// Hosts of a cluster as child processes, each with a checkout of its own, and executors
// that are shut down after the test.
import { type ChildProcess, spawn } from 'node:child_process';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import {
  ClusterExecutor,
  type ClusterExecutorOptions,
} from '../../dist/bullmq.js';
import type { FileStoreSettings } from '../fixtures/file-store.js';
import { useGates, type Gate } from './gate.js';
import { until } from './until.js';

const fixtures = resolve('test', 'fixtures');
const hostProgram = resolve('test', 'fixtures', 'cluster-host.mjs');

/**
 * Of the tests of faults, which wait for its end. Hosts renew it each third of it, so it
 * is not shorter: a process of a busy machine may have to wait for a second until it runs.
 * Other tests have a lease that no slow machine exceeds.
 */
export const leaseMs = 1500;

/** A folder with the jobs, as a machine has it. */
export class Checkout {
  readonly root: string = mkdtempSync(join(tmpdir(), 'checkout-'));

  constructor() {
    copyFileSync(
      join(fixtures, 'cluster-jobs.mjs'),
      join(this.root, 'jobs.mjs'),
    );
    const modules = join(this.root, 'node_modules');
    mkdirSync(modules);
    symlinkSync(resolve('.'), join(modules, 'jobserver'));
  }

  /** For `submit`. */
  fn(name: string, file = 'jobs.mjs'): string {
    return `${pathToFileURL(join(this.root, file)).href}#${name}`;
  }

  remove(): void {
    rmSync(this.root, { recursive: true, force: true });
  }
}

export interface HostSettings {
  readonly connection: string | object;
  readonly queue: string;
  /** Default: its checkout. */
  readonly root?: string;
  readonly name?: string;
  readonly slots?: number;
  readonly jobsPerProcess?: number;
  readonly key?: string;
  readonly version?: string;
  readonly leaseMs?: number;
  readonly inlineBytes?: number;
  readonly store?: FileStoreSettings;
}

/** What a host has said about a job. */
export interface HostLine {
  readonly what:
    'ready' | 'failed' | 'started' | 'ended' | 'closing' | 'closed';
  readonly id?: string;
  readonly outcome?: string;
  readonly reason?: string;
  readonly pid?: number;
  readonly slots?: number;
}

export class HostProcess {
  readonly checkout: Checkout;
  readonly lines: HostLine[] = [];
  readonly #child: ChildProcess;
  #stderr = '';
  #exit: Promise<void>;

  constructor(
    settings: HostSettings,
    checkout = new Checkout(),
    command: readonly string[] = [],
  ) {
    this.checkout = checkout;
    const options = JSON.stringify(settings);
    const [program = process.execPath, ...args] = [
      ...command,
      ...(command.length > 0 ? [process.execPath] : []),
    ];
    this.#child = spawn(program, [...args, hostProgram, options], {
      cwd: checkout.root,
      // Jest has an environment of its own.
      env: process.env,
      // It ends when its standard input does.
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.#exit = new Promise((done) => {
      this.#child.once('exit', () => {
        done();
      });
    });
    let rest = '';
    this.#child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop()!;
      for (const line of lines) this.lines.push(JSON.parse(line) as HostLine);
    });
    this.#child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
    });
    // A host that is killed reads nothing more.
    this.#child.stdin!.on('error', () => undefined);
  }

  get pid(): number {
    return this.#child.pid!;
  }

  get stderr(): string {
    return this.#stderr;
  }

  has(what: HostLine['what']): boolean {
    return this.lines.some((line) => line.what === what);
  }

  async ready(): Promise<this> {
    await until(
      'the host to be ready',
      () => {
        if (this.#child.exitCode === null) return this.has('ready');
        throw new Error(`The host has ended: ${this.#stderr}`);
      },
      30_000,
    );
    return this;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    this.#child.kill(signal);
    await this.#exit;
  }

  async end(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      this.#child.kill('SIGCONT');
      this.#child.kill('SIGKILL');
    }
    await this.#exit;
    // Jobs that it has left may hold the other ends for a moment.
    for (const stream of this.#child.stdio) stream?.destroy();
    this.checkout.remove();
  }
}

export interface ClusterTools {
  /** Another one for each test. */
  readonly queue: () => string;
  /** That of the submitter. */
  readonly checkout: () => Checkout;
  readonly makeGate: () => Gate;
  /** Waits until it is ready. */
  readonly host: (settings: HostGiven) => Promise<HostProcess>;
  /** Does not wait. */
  readonly startHost: (settings: HostGiven) => HostProcess;
  readonly executor: (options: ClusterExecutorOptions) => ClusterExecutor;
}

type HostGiven = Omit<HostSettings, 'queue'> & {
  readonly queue?: string;
  readonly checkout?: Checkout;
  readonly command?: readonly string[];
};

let queues = 0;

/**
 * Call it in a describe block. What the test has made is ended after it. `common`: options
 * of all hosts and executors.
 */
export function useCluster(
  common: { readonly leaseMs?: number } = {},
): ClusterTools {
  const makeGate = useGates();
  const hosts: HostProcess[] = [];
  const executors: ClusterExecutor[] = [];
  let queue: string;
  let checkout: Checkout;
  beforeEach(() => {
    queue = `test-${process.pid}-${++queues}`;
    checkout = new Checkout();
  });
  afterEach(async () => {
    for (const executor of executors.splice(0)) {
      executor
        .shutdown({ cancelFutures: true, killSignal: 'SIGKILL' })
        .catch(() => undefined);
      await executor.shutdown({ timeout: 5000 }).catch(() => undefined);
    }
    await Promise.all(hosts.splice(0).map((host) => host.end()));
    checkout.remove();
  });
  const startHost = (given: HostGiven): HostProcess => {
    const { checkout: own, command, ...settings } = given;
    const host = new HostProcess(
      { queue, ...common, ...settings },
      own,
      command,
    );
    hosts.push(host);
    return host;
  };
  return {
    queue: () => queue,
    checkout: () => checkout,
    makeGate,
    startHost,
    host: (given) => startHost(given).ready(),
    executor: (options) => {
      const executor = new ClusterExecutor({
        ...common,
        root: checkout.root,
        queue,
        ...options,
      });
      executors.push(executor);
      return executor;
    },
  };
}

/** The lines that jobs have appended. */
export function linesIn(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').split('\n').slice(0, -1);
  } catch {
    return [];
  }
}

// A process that runs `jobserver worker`, and what it has written.
import { type ChildProcess, spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { until } from './until.js';

const main = resolve('dist', 'cli', 'main.js');

interface Options {
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  /** Whether it leads a process group, as what a shell starts does. */
  leadsGroup?: boolean;
}

const started = new Set<WorkerProcess>();

export class WorkerProcess {
  readonly #child: ChildProcess;
  /** Whether it has ended, and all processes that have its output. */
  #isClosed = false;
  #stderr = '';
  #stdout = '';

  constructor(args: readonly string[], options: Options = {}) {
    const { env = {}, cwd, leadsGroup = false } = options;
    const { JOBSERVER_KEY: _key, JOBSERVER_URL: _url, ...rest } = process.env;
    this.#child = spawn(process.execPath, [main, 'worker', ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: leadsGroup,
      env: { ...rest, MAKEFLAGS: '', ...env },
      cwd,
    });
    this.#child.once('close', () => (this.#isClosed = true));
    started.add(this);
    this.#child.stdout!.setEncoding('utf8').on('data', (text) => {
      this.#stdout += text;
    });
    this.#child.stderr!.setEncoding('utf8').on('data', (text) => {
      this.#stderr += text;
    });
  }

  get pid(): number {
    return this.#child.pid!;
  }

  get stderr(): string {
    return this.#stderr;
  }

  get stdout(): string {
    return this.#stdout;
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** As Ctrl-C in a terminal does, to all of the group. */
  killGroup(signal: NodeJS.Signals): void {
    process.kill(-this.pid, signal);
  }

  /** Resolves with the match when its standard error has one. */
  async says(pattern: RegExp): Promise<RegExpExecArray> {
    const isSaid = (): boolean => pattern.test(this.#stderr);
    await until(
      `${String(pattern)} in the log`,
      () => {
        if (isSaid()) return true;
        if (this.hasEnded) throw new Error(`It has ended: ${this.#stderr}`);
        return false;
      },
      20_000,
    ).catch((error: Error) => {
      if (!isSaid()) throw new Error(`${error.message}\n${this.#stderr}`);
    });
    return pattern.exec(this.#stderr)!;
  }

  /** Resolves with the exit code, or with the signal that has ended it. */
  async end(): Promise<number | NodeJS.Signals> {
    await this.#close();
    return this.#child.exitCode ?? this.#child.signalCode!;
  }

  async #close(): Promise<void> {
    await until('the end of the worker', () => this.#isClosed, 20_000).catch(
      (error: Error) => {
        throw new Error(`${error.message}\n${this.#stderr}`);
      },
    );
  }

  /** The lines of `--log json`. */
  get lines(): Record<string, unknown>[] {
    const whole = this.#stderr.slice(0, this.#stderr.lastIndexOf('\n') + 1);
    return whole
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line));
  }

  /** Kills those that a test has left. */
  static async endAll(): Promise<void> {
    for (const worker of started) {
      worker.kill('SIGKILL');
      await worker.#close();
    }
    started.clear();
  }
}

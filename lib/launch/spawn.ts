// The spawn context: a fresh node per job, which has the null device as its
// input and finds its descriptors at fixed places.
import { openSync } from 'node:fs';
import { devNull } from 'node:os';
import { join } from 'node:path';
import { check, errno, native } from '../binding.js';
import type { Ending } from '../errors.js';
import { Fd } from '../fd.js';
import { writeOrder } from '../order-file.js';
import { signalName } from '../signals.js';
import type { Launcher, Order, Worker } from './launcher.js';

const entry = join(__dirname, '..', 'child', 'main.js');

export const spawnLauncher: Launcher = {
  launch(order, resultWriter, token) {
    const file = writeOrder(token, order.body);
    try {
      const pipes = order.slotPipes.flatMap((pipe) => [
        pipe.reader,
        pipe.writer,
      ]);
      const fds = [1, 2, file.number, resultWriter, ...pipes];
      const argv = [...order.execArgv, entry];
      return new SpawnedWorker(startNode(argv, order, order.orphanSignal, fds));
    } finally {
      file.close();
    }
  },
};

/** Starts a node whose fds from 1 on are these; the pid. */
export function startNode(
  argv: readonly string[],
  { env, cwd }: Pick<Order, 'env' | 'cwd'>,
  deathSignal: number,
  fds: readonly number[],
): number {
  const nothing = new Fd(openSync(devNull, 'r'));
  try {
    const pairs = [nothing.number, ...fds].flatMap((fd, i) => [fd, i]);
    const { execPath } = process;
    const table = Int32Array.of(deathSignal, ...pairs);
    const all = [execPath, ...argv];
    return check(
      native.spawn(execPath, all, env, cwd, table),
      `spawn ${execPath}`,
    );
  } finally {
    nothing.close();
  }
}

class SpawnedWorker implements Worker {
  readonly pid: number;
  readonly #exit: Fd;
  #isReaped = false;

  constructor(pid: number) {
    this.pid = pid;
    // Before it is reaped nobody else can have this pid. Where the kernel has
    // no such fd, or none is left, `reap` alone has to tell.
    this.#exit = new Fd(Math.max(-1, native.exitFd(pid)));
  }

  get exitFd(): number {
    return this.#exit.number;
  }

  reap(): Ending | undefined {
    const status = new Int32Array(2);
    const result = native.waitpid(this.pid, status);
    if (result === 0) return undefined;
    this.#isReaped = true;
    // Somebody else has reaped it: gone, and nobody can tell how.
    if (result === -errno.ECHILD) {
      return { pid: this.pid, exitCode: null, signal: null };
    }
    check(result, 'reap a worker');
    const [code, signal] = status as unknown as [number, number];
    return {
      pid: this.pid,
      exitCode: code < 0 ? null : code,
      signal: signal === 0 ? null : signalName(signal),
    };
  }

  kill(signal: number): void {
    if (this.#isReaped) return;
    const result = native.kill(this.pid, this.#exit.number, signal);
    if (result !== -errno.ESRCH) check(result, 'signal a worker');
  }

  close(): void {
    this.#exit.close();
  }
}

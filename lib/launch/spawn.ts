// The spawn context: a fresh node per job, which has the null device as its
// input. The order lies in an anonymous file, whole before the process starts,
// so that no pipe has to be fed and a worker that dies while it reads cannot
// hold up anybody.
import { openSync } from 'node:fs';
import { devNull } from 'node:os';
import { join } from 'node:path';
import { check, errno, native } from '../binding.js';
import type { Ending } from '../errors.js';
import { Fd } from '../fd.js';
import { packHeader } from '../order.js';
import { signalName } from '../signals.js';
import type { Launcher, Order, Worker } from './launcher.js';

const entry = join(__dirname, '..', 'child', 'main.js');

export const spawnLauncher: Launcher = {
  launch(order, resultWriter, token) {
    const nothing = new Fd(openSync(devNull, 'r'));
    let file: Fd | undefined;
    try {
      file = writeOrder(order.body, token);
      const pid = native.spawn(
        process.execPath,
        [process.execPath, ...order.execArgv, entry],
        order.env,
        order.cwd,
        fdTable(order, [nothing.number, 1, 2, file.number, resultWriter]),
      );
      return new SpawnedWorker(check(pid, `spawn ${process.execPath}`));
    } finally {
      nothing.close();
      file?.close();
    }
  },
};

/** `first` are those at 0, 1, 2, and so on; the slot pipes follow. */
function fdTable(order: Order, first: readonly number[]): Int32Array {
  const pipes = order.slotPipes.flatMap((pipe) => [pipe.reader, pipe.writer]);
  const pairs = [...first, ...pipes].flatMap((fd, target) => [fd, target]);
  return Int32Array.of(order.orphanSignal, ...pairs);
}

function writeOrder(body: readonly Buffer[], token: number): Fd {
  const file = new Fd(check(native.anonymousFile(), 'open the order'));
  try {
    writeAll(file.number, packHeader(token, body));
    for (const part of body) writeAll(file.number, part);
    return file;
  } catch (error) {
    file.close();
    throw error;
  }
}

function writeAll(fd: number, bytes: Buffer): void {
  for (let offset = 0; offset < bytes.length;) {
    const length = bytes.length - offset;
    offset += check(native.write(fd, bytes, offset, length), 'write the order');
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

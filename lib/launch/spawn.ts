// The spawn context: a fresh node per job, which has the null device as its
// input and finds its descriptors at fixed places.
import { openSync } from 'node:fs';
import { devNull } from 'node:os';
import { join } from 'node:path';
import { check, native } from '../system/binding.js';
import { Fd } from '../system/fd.js';
import { writeOrder } from '../protocol/order-file.js';
import { ChildWorker } from './child-worker.js';
import type { Launcher, Order } from './launcher.js';

const entry = join(__dirname, '..', 'child', 'spawned.js');

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
      return new ChildWorker(startNode(argv, order, fds));
    } finally {
      file.close();
    }
  },
};

// A worker asks for it itself: see followSubmitter.
const noDeathSignal = 0;

/** Starts a node whose fds from 1 on are these; the pid. */
export function startNode(
  argv: readonly string[],
  { env, cwd }: Pick<Order, 'env' | 'cwd'>,
  fds: readonly number[],
): number {
  const nothing = new Fd(openSync(devNull, 'r'));
  try {
    const pairs = [nothing.number, ...fds].flatMap((fd, i) => [fd, i]);
    const { execPath } = process;
    const table = Int32Array.of(noDeathSignal, ...pairs);
    const all = [execPath, ...argv];
    return check(
      native.spawn(execPath, all, env, cwd, table),
      `spawn ${execPath}`,
    );
  } finally {
    nothing.close();
  }
}

// The zygotes of this process: which one serves an order, how it is started,
// and how a request reaches it.
import { join } from 'node:path';
import { outOfRange } from '../errors.js';
import {
  environmentOfJob,
  environmentToStart,
  startupVariablesOf,
} from '../protocol/environment.js';
import type { Order } from '../protocol/order.js';
import { workerState } from '../protocol/worker-state.js';
import {
  check,
  errno,
  native,
  pollEvents,
  systemError,
} from '../system/binding.js';
import { deadlineAfter, remaining } from '../system/deadline.js';
import { Fd, duplicate } from '../system/fd.js';
import { checkReadable } from '../system/readable.js';
import { selector } from '../system/selector.js';
import { startNode } from './spawn.js';

const entry = join(__dirname, '..', 'child', 'zygote.js');

/** A zygote silent for this long will not respond. */
export const patienceMs = 10_000;

/** A connection to a zygote. The zygote ends with its last connection. */
export class Zygote {
  readonly client: Fd;
  isGone = false;
  /** Why jobs with its key have to be spawned. */
  obstacle: string | undefined;
  /** A job has begun in one of its forks. */
  hasServed = false;
  /** How many zygotes with its key, the last ones, refused their first job. */
  #misfits: number;

  constructor(client: Fd, predecessor?: Zygote) {
    this.client = client.keepInForks();
    this.#misfits = predecessor?.hasServed === false ? predecessor.#misfits : 0;
  }

  send(orphanSignal: number, fds: readonly number[]): void {
    const request = Int32Array.of(orphanSignal, native.timerSlack());
    const bytes = new Uint8Array(request.buffer);
    const table = Int32Array.from(fds);
    const deadline = deadlineAfter(patienceMs);
    for (;;) {
      const result = native.sendFds(this.client.number, bytes, table);
      if (result !== -errno.EAGAIN) {
        if (result < 0) this.abandon();
        check(result, 'ask the forkserver');
        return;
      }
      // The socket is full of requests that the zygote has not taken.
      const pollFd = Int32Array.of(this.client.number, pollEvents.out);
      const ready = native.poll(pollFd, 1, remaining(deadline));
      if (ready === 0) throw systemError(result, 'ask the forkserver');
    }
  }

  /**
   * A fork of it may do more than this process, so the next request goes to a
   * new zygote. If that refuses its first request too, and the one after it,
   * this process has a property that no zygote can verify.
   */
  onMismatch(): void {
    if (this.isGone) return;
    this.abandon();
    this.#misfits += 1;
    if (this.hasServed || this.#misfits < 2) return;
    this.obstacle =
      'it cannot see that its jobs would have no more rights than this process';
  }

  /** The next request goes to another zygote. */
  abandon(): void {
    this.isGone = true;
    this.client.close();
  }
}

const zygotes = new Map<string, Zygote>();

// In a job, those of its zygote, which has loaded this module.
const ownVariables = JSON.stringify(
  startupVariablesOf(environmentOfJob(new Map())),
);

/** What decides which zygote a job needs. */
export type ZygoteStart = Pick<Order, 'execArgv' | 'preload' | 'env'>;

/** Orders of equal key share a zygote. */
export function keyOf({ execArgv, preload, env }: ZygoteStart): string {
  const { JOBSERVER_SPARES: spares = '' } = process.env;
  const variables = startupVariablesOf(env);
  return JSON.stringify([execArgv, preload, variables, spares]);
}

function checkSpares(): void {
  const { JOBSERVER_SPARES: spares = '' } = process.env;
  if (/^\d{0,4}$/.test(spares)) return;
  throw outOfRange('JOBSERVER_SPARES', 'an integer from 0 to 9999', spares);
}

/** Why jobs with this key have to be spawned, if they have to. */
export function obstacleOf(key: string): string | undefined {
  return zygotes.get(key)?.obstacle;
}

export function zygoteFor(order: Order, key: string): Zygote {
  const known = zygotes.get(key);
  if (known?.isGone === false) return known;
  const zygote =
    known === undefined
      ? (inherited(order) ?? start(order))
      : start(order, known);
  zygotes.set(key, zygote);
  return zygote;
}

/** In a job: the zygote that forked it, if another would be the same. */
function inherited(order: Order): Zygote | undefined {
  const { ambient } = workerState;
  if (ambient === undefined || ambient.forkserverFd < 0) return undefined;
  const isSame =
    ambient.preload.join('\n') === order.preload.join('\n') &&
    JSON.stringify(startupVariablesOf(order.env)) === ownVariables;
  // A duplicate, because several keys may share the connection of the job.
  return isSame ? new Zygote(duplicate(ambient.forkserverFd)) : undefined;
}

function start(order: Order, predecessor?: Zygote): Zygote {
  checkSpares();
  checkReadable(entry);
  const ends = new Int32Array(2);
  check(native.socketpair(ends, true), 'open the forkserver socket');
  const client = new Fd(ends[0]!);
  const server = new Fd(ends[1]!);
  try {
    // Before the first request, because each one needs its sender.
    check(native.passCredentials(server.number), 'identify submitters');
    const argv = [...order.execArgv, ...zygoteFlags, entry, ...order.preload];
    const { cwd } = order;
    const env = environmentToStart(order.env);
    // The socket becomes `zygoteRequestFd`.
    const pid = startNode(argv, { env, cwd }, [1, 2, server.number]);
    const zygote = new Zygote(client, predecessor);
    reapAtEnd(pid);
    return zygote;
  } catch (error) {
    client.close();
    throw error;
  } finally {
    server.close();
  }
}

/** Does not keep the loop alive: the zygote waits for this process to end. */
function reapAtEnd(pid: number): void {
  const exit = new Fd(Math.max(-1, native.exitFd(pid)));
  const isWatched = selector.tryAdd(exit.number, () => {
    if (native.waitpid(pid, new Int32Array(2)) === 0) return;
    selector.remove(exit.number);
    exit.close();
  });
  // Without descriptors it stays a zombie until this process ends.
  if (!isWatched) exit.close();
}

// Only the forking thread lives on in a fork, so V8 must not need another one.
// Large pages make a fork cheaper: it maps fewer of them (Node 26 has none).
const zygoteFlags = ['--single-threaded', '--v8-pool-size=1'];
if (parseInt(process.versions.node) < 26) {
  zygoteFlags.push('--use-largepages=silent');
}

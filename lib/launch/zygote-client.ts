// The zygotes of this process: which one serves an order, how it is started,
// and how a request reaches it.
import { join } from 'node:path';
import { clearTimeout, setTimeout } from 'node:timers';
import { outOfRange } from '../errors.js';
import { versionOf } from '../functions/sources.js';
import {
  environmentOfJob,
  environmentToStart,
  startupVariablesOf,
} from '../protocol/environment.js';
import type { Order } from '../protocol/order.js';
import { workerState } from '../protocol/worker-state.js';
import type { SlotPipe } from '../slots/slot-pipe.js';
import {
  check,
  errno,
  native,
  pollEvents,
  systemError,
} from '../system/binding.js';
import {
  deadlineAfter,
  longestTimerMs,
  remaining,
} from '../system/deadline.js';
import { Fd, duplicate } from '../system/fd.js';
import { checkReadable } from '../system/readable.js';
import { selector } from '../system/selector.js';
import { startNode } from './spawn.js';

const entry = join(__dirname, '..', 'child', 'zygote.js');

/** A zygote silent for this long will not respond. */
export const patienceMs = 10_000;

/**
 * A zygote that this copy of the module holds. Other threads and other copies
 * may hold it too; see native/zygote_table.h.
 */
export class Zygote {
  /** The socket to the zygote; borrowed. */
  readonly client: number;
  /** Released: the next request goes to another zygote. */
  isGone = false;
  /** Why jobs with its key have to be spawned. */
  obstacle: string | undefined;
  /** That of the modules that it has loaded. */
  readonly version: string;
  /** A job has begun in one of its forks. */
  hasServed = false;
  /** How many zygotes with its key, the last ones, refused their first job. */
  #misfits: number;
  /** Open pools that have sent a job to it. */
  #users = 0;
  readonly #known = new WeakSet<SlotPipe>();
  #timer: NodeJS.Timeout | undefined;
  /** Readable when the zygote has ended. */
  #exit = new Fd(-1);

  constructor(
    [client, pid]: readonly [number, number],
    version: string,
    predecessor: Zygote | undefined,
  ) {
    this.client = client;
    this.version = version;
    this.#misfits = predecessor?.hasServed === false ? predecessor.#misfits : 0;
    if (pid > 0) this.#watchEnd(pid);
  }

  /** Keeps the zygote for `keepAlive` ms after the pool of the order closes. */
  serve({ slotPipes, keepAlive }: Order): void {
    const pool = slotPipes[0]!;
    if (this.#known.has(pool)) return;
    this.#known.add(pool);
    this.#users += 1;
    clearTimeout(this.#timer);
    pool.closeWith({
      close: () => {
        this.#users -= 1;
        if (this.#users === 0) this.#releaseAfter(keepAlive);
      },
    });
  }

  send(orphanSignal: number, fds: readonly number[]): void {
    const request = Int32Array.of(orphanSignal, native.timerSlack());
    const bytes = new Uint8Array(request.buffer);
    const table = Int32Array.from(fds);
    const deadline = deadlineAfter(patienceMs);
    for (;;) {
      const result = native.sendFds(this.client, bytes, table);
      if (result !== -errno.EAGAIN) {
        if (result < 0 && !isShortage(result)) this.abandon();
        check(result, 'ask the forkserver');
        return;
      }
      // The socket is full of requests that the zygote has not taken.
      const pollFd = Int32Array.of(this.client, pollEvents.out);
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

  /** No thread sends another request to it. */
  abandon(): void {
    this.#release(true);
  }

  #releaseAfter(ms: number): void {
    if (this.isGone || ms > longestTimerMs) return;
    this.#timer = setTimeout(() => {
      this.#release(false);
    }, ms).unref();
  }

  #release(isDead: boolean): void {
    if (this.isGone) return;
    this.isGone = true;
    clearTimeout(this.#timer);
    const isLast = native.releaseZygote(this.client, isDead) === 1;
    if (!isLast) this.#unwatch();
  }

  /** Does not keep the loop alive. Any turn of the selector reaps the zygote. */
  #watchEnd(pid: number): void {
    this.#exit = new Fd(Math.max(-1, native.exitFd(pid)));
    const isWatched = selector.tryAdd(this.#exit.number, () => {
      this.abandon();
      this.#unwatch();
    });
    if (!isWatched) this.#exit.close();
  }

  #unwatch(): void {
    selector.remove(this.#exit.number);
    this.#exit.close();
  }
}

/** What this process lacks is no fault of the zygote. */
function isShortage(result: number): boolean {
  const { EMFILE, ENOBUFS, ENOMEM } = errno;
  return [EMFILE, ENOBUFS, ENOMEM].includes(-result);
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
  const version = versionOf(order.preload);
  // Its forks have what was loaded before the change.
  if (known?.version !== version) known?.abandon();
  if (known?.isGone === false) {
    known.serve(order);
    return known;
  }
  const open = (): [socket: Fd, pid: number] =>
    (known === undefined ? inherited(order, version) : undefined) ??
    start(order);
  // A copy of the package in another folder may have another version.
  const link = hold(`${entry} ${version} ${key}`, open);
  const zygote = new Zygote(link, version, known);
  zygotes.set(key, zygote);
  zygote.serve(order);
  return zygote;
}

/** The socket and pid of a zygote that other threads and copies may find. */
function hold(
  key: string,
  open: () => [socket: Fd, pid: number],
): readonly [number, number] {
  const link = new Int32Array(2);
  const result = native.holdZygote(key, link);
  if (result === -errno.ENOENT) {
    const [socket, pid] = open();
    link.set([socket.disown(), pid]);
    check(native.shareZygote(key, link), 'share the forkserver');
  } else {
    check(result, 'find the forkserver');
  }
  return [link[0]!, link[1]!];
}

/** In a job: the zygote that forked it, if another would be the same. */
function inherited(
  order: Order,
  version: string,
): [socket: Fd, pid: number] | undefined {
  const { ambient, preloadVersion } = workerState;
  if (ambient === undefined || ambient.forkserverFd < 0) return undefined;
  const isSame =
    ambient.preload.join('\n') === order.preload.join('\n') &&
    preloadVersion === version &&
    JSON.stringify(startupVariablesOf(order.env)) === ownVariables;
  // A duplicate, because several keys may share the connection of the job.
  return isSame ? [duplicate(ambient.forkserverFd), notMyChild] : undefined;
}

const notMyChild = 0;

function start(order: Order): [socket: Fd, pid: number] {
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
    return [client, startNode(argv, { env, cwd }, [1, 2, server.number])];
  } catch (error) {
    client.close();
    throw error;
  } finally {
    server.close();
  }
}

// Only the forking thread lives on in a fork, so V8 must not need another one.
// Large pages make a fork cheaper: it maps fewer of them (Node 26 has none).
const zygoteFlags = ['--single-threaded', '--v8-pool-size=1'];
if (parseInt(process.versions.node) < 26) {
  zygoteFlags.push('--use-largepages=silent');
}

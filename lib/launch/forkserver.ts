// The forkserver context, from the submitter's side: a request to the zygote,
// one warm node that forks itself for each job. What becomes of the job is told
// on a socket of its own: by the job when it starts, by the zygote, which is
// its parent, when it has reaped it.
import { join } from 'node:path';
import {
  check,
  errno,
  native,
  pollEvents,
  systemError,
} from '../system/binding.js';
import { deadlineAfter, remaining } from '../system/deadline.js';
import { environmentOfJob } from '../protocol/environment.js';
import { type Ending, codedError } from '../errors.js';
import { Fd } from '../system/fd.js';
import { packSurroundings } from '../protocol/order.js';
import { writeOrder } from '../protocol/order-file.js';
import { selector } from '../system/selector.js';
import { isFatal, signalName } from '../system/signals.js';
import { workerState } from '../protocol/worker-state.js';
import type { Launcher, Order, Worker } from './launcher.js';
import { spawnLauncher, startNode } from './spawn.js';

const entry = join(__dirname, '..', 'child', 'zygote.js');

// Kinds of native/fork.h, each with one value and a signal.
const started = 1;
const ended = 2;
const refused = 3;
const declined = 4;
const reportInts = 3;

// A zygote that gives no sign of life for so long will not give one.
const patienceMs = 10_000;

export const forkserverLauncher: Launcher = {
  launch(order, resultWriter, token) {
    const key = keyOf(order);
    const obstacle = obstacleTo(key);
    if (obstacle !== undefined) {
      warn(obstacle);
      return spawnLauncher.launch(order, resultWriter, token);
    }
    const file = writeOrder(token, [...order.body, surroundings(order)]);
    try {
      const send = (): Worker => {
        const zygote = zygoteFor(order, key);
        return request(zygote, order, file.number, resultWriter);
      };
      try {
        return send();
      } catch (error) {
        // Killed since it was used last: the next one serves as well.
        const { code } = error as NodeJS.ErrnoException;
        if (code !== 'EPIPE' && code !== 'ECONNRESET') throw error;
        return send();
      }
    } finally {
      file.close();
    }
  },
};

/** Asks for one job; throws EPIPE where no zygote is left. */
function request(
  zygote: Zygote,
  order: Order,
  orderFile: number,
  resultWriter: number,
): Worker {
  const ends = new Int32Array(2);
  check(native.socketpair(ends, true), 'open a report socket');
  const report = new Fd(ends[0]!);
  const reporter = new Fd(ends[1]!);
  const pipes = order.slotPipes.flatMap((pipe) => [pipe.reader, pipe.writer]);
  const fds = [reporter.number, 1, 2, orderFile, resultWriter];
  try {
    zygote.send(order.orphanSignal, [...fds, zygote.client.number, ...pipes]);
    return new ForkedWorker(report, zygote);
  } catch (error) {
    report.close();
    throw error;
  } finally {
    reporter.close();
  }
}

/** The way to a zygote; its process ends when the last such way is closed. */
class Zygote {
  readonly client: Fd;
  isGone = false;
  /** It cannot fork: jobs like those it was to start have to be spawned. */
  hasDeclined = false;

  constructor(client: Fd) {
    this.client = client.keepInForks();
  }

  send(orphanSignal: number, fds: readonly number[]): void {
    const bytes = new Uint8Array(Int32Array.of(orphanSignal).buffer);
    const table = Int32Array.from(fds);
    const deadline = deadlineAfter(patienceMs);
    for (;;) {
      const result = native.sendFds(this.client.number, bytes, table);
      if (result !== -errno.EAGAIN) {
        if (result < 0) this.abandon();
        check(result, 'ask the forkserver');
        return;
      }
      // More requests are on their way than the socket holds.
      const pollFd = Int32Array.of(this.client.number, pollEvents.out);
      const ready = native.poll(pollFd, 1, remaining(deadline));
      if (ready === 0) throw systemError(result, 'ask the forkserver');
    }
  }

  /** The next request goes to another. */
  abandon(): void {
    this.isGone = true;
    this.client.close();
  }
}

const zygotes = new Map<string, Zygote>();

/** Orders of one key have one zygote. */
function keyOf(order: Order): string {
  const { JOBSERVER_SPARES: spares } = process.env;
  return JSON.stringify([order.execArgv, order.preload, spares]);
}

function zygoteFor(order: Order, key: string): Zygote {
  const known = zygotes.get(key);
  if (known?.isGone === false) return known;
  const zygote =
    known === undefined ? (inherited(order) ?? start(order)) : start(order);
  zygotes.set(key, zygote);
  return zygote;
}

/** Jobs use the zygote that they come from, as long as it is like theirs. */
function inherited(order: Order): Zygote | undefined {
  const { ambient } = workerState;
  if (ambient === undefined || ambient.forkserverFd < 0) return undefined;
  const isSame = ambient.preload.join('\n') === order.preload.join('\n');
  return isSame ? new Zygote(new Fd(ambient.forkserverFd)) : undefined;
}

function start(order: Order): Zygote {
  const ends = new Int32Array(2);
  check(native.socketpair(ends, true), 'open the forkserver socket');
  const client = new Fd(ends[0]!);
  const server = new Fd(ends[1]!);
  try {
    const argv = [...order.execArgv, ...zygoteFlags, entry, ...order.preload];
    const { cwd } = order;
    const env = environmentOfJob(new Map());
    const pid = startNode(argv, { env, cwd }, [1, 2, server.number]);
    const zygote = new Zygote(client);
    reapAtEnd(pid);
    return zygote;
  } catch (error) {
    client.close();
    throw error;
  } finally {
    server.close();
  }
}

/** Without holding the event loop: it ends with its last client. */
function reapAtEnd(pid: number): void {
  const exit = new Fd(native.exitFd(pid));
  selector.tryAdd(exit.number, () => {
    if (native.waitpid(pid, new Int32Array(2)) === 0) return;
    selector.remove(exit.number);
    exit.close();
  });
}

// A fork has no threads but one; V8 must not wait for others. Large pages spare
// each fork the mapping of thousands of small ones (gone in Node 26).
const zygoteFlags = ['--single-threaded', '--v8-pool-size=1'];
if (parseInt(process.versions.node) < 26) {
  zygoteFlags.push('--use-largepages=silent');
}

class ForkedWorker implements Worker {
  readonly #report: Fd;
  readonly #zygote: Zygote;
  /** A pidfd: the same process for ever. */
  #self = new Fd(-1);
  #pid: number | undefined;
  /** By the last signal that would have ended the job, had it begun. */
  #killedBy = 0;
  /** The zygote is gone: nobody will tell how the job ends. */
  #isAlone = false;
  #ending: Ending | undefined;

  constructor(report: Fd, zygote: Zygote) {
    this.#report = report;
    this.#zygote = zygote;
  }

  get pid(): number {
    if (this.#pid === undefined) this.#awaitStart();
    return this.#pid ?? 0;
  }

  get exitFd(): number {
    return this.#isAlone ? this.#self.number : this.#report.number;
  }

  reap(): Ending | undefined {
    while (this.#ending === undefined && !this.#isAlone) {
      if (!this.#receive()) return undefined;
    }
    if (this.#ending !== undefined) return this.#ending;
    if (this.#self.number >= 0) {
      const exit = Int32Array.of(this.#self.number, pollEvents.in);
      if (native.poll(exit, 1, 0) === 0) return undefined;
    }
    if (this.#pid !== undefined) {
      return { pid: this.#pid, exitCode: null, signal: null };
    }
    // The request was still on its way when the zygote died. Its spares die as
    // well, but until then they would take the next request.
    this.#zygote.abandon();
    return this.#neverBegan();
  }

  kill(signal: number): void {
    if (this.#pid === undefined) this.#awaitStart();
    if (this.#self.number < 0) {
      if (isFatal(signal)) this.#killedBy = signal;
      return;
    }
    const result = native.kill(this.#pid ?? 0, this.#self.number, signal);
    if (result !== -errno.ESRCH) check(result, 'signal a worker');
  }

  close(): void {
    this.#self.close();
    this.#report.close();
  }

  /** False when there is nothing to receive yet. */
  #receive(): boolean {
    const report = new Int32Array(reportInts);
    const fds = Int32Array.of(-1);
    const bytes = new Uint8Array(report.buffer);
    const length = native.receiveFds(this.#report.number, bytes, fds);
    if (length === -errno.EAGAIN) return false;
    const [kind, value, signal] = report as unknown as [number, number, number];
    if (length <= 0) {
      this.#isAlone = true;
    } else if (kind === started) {
      this.#pid = value;
      this.#self = new Fd(fds[0]!);
    } else if (kind === ended) {
      this.#ending = {
        pid: this.#pid ?? 0,
        exitCode: value < 0 ? null : value,
        signal: signal === 0 ? null : signalName(signal),
      };
    } else if (kind === refused) {
      const refusal = systemError(-value, 'fork');
      this.#ending = { pid: 0, exitCode: null, signal: null, refusal };
    } else if (kind === declined) {
      this.#zygote.hasDeclined = true;
      this.#zygote.abandon();
      this.#isAlone = true;
    }
    return true;
  }

  /** Can be started again, unless it has been killed in the meantime. */
  #neverBegan(): Ending {
    const unknown = { pid: 0, exitCode: null };
    if (this.#killedBy !== 0) {
      return { ...unknown, signal: signalName(this.#killedBy) };
    }
    const refusal = codedError(
      'ERR_JOBSERVER_FORKSERVER',
      'The forkserver ended before it could start the job; if something is ' +
        'wrong with it, it has said so on stderr',
    );
    return { ...unknown, signal: null, neverBegan: true, refusal };
  }

  /** A request is taken at once by a spare, or else after a fork. */
  #awaitStart(): void {
    const deadline = deadlineAfter(patienceMs);
    while (this.#pid === undefined && !this.#isAlone && !this.#ending) {
      if (this.#receive()) continue;
      const news = Int32Array.of(this.#report.number, pollEvents.in);
      if (native.poll(news, 1, remaining(deadline)) === 0) return;
    }
  }
}

const packed = new WeakMap<readonly string[], { cwd: string; part: Buffer }>();

// The same for most jobs: the list of variables is shared between them.
function surroundings({ cwd, env }: Order): Buffer {
  const known = packed.get(env);
  if (known?.cwd === cwd) return known.part;
  const part = packSurroundings({ cwd, env });
  packed.set(env, { cwd, part });
  return part;
}

/** Why jobs for the zygote of this key have to be spawned instead. */
function obstacleTo(key: string): string | undefined {
  if (!canFollowProcesses()) return 'this kernel has no pidfd_open';
  if (zygotes.get(key)?.hasDeclined !== true) return undefined;
  return (
    'module hooks (--import, --loader) run in a thread, which no fork has; ' +
    'hooks made by module.registerHooks need none'
  );
}

let canFollow: boolean | undefined;

/** The kernel must have pidfds: a job is nobody's child but the zygote's. */
function canFollowProcesses(): boolean {
  if (canFollow === undefined) {
    const fd = native.exitFd(process.pid);
    canFollow = fd >= 0;
    if (canFollow) native.close(fd);
  }
  return canFollow;
}

let hasWarned = false;

function warn(obstacle: string): void {
  // Where jobs submit jobs, the first process has said it already.
  if (hasWarned || workerState.isWorker) return;
  hasWarned = true;
  process.emitWarning(
    `The forkserver cannot start: ${obstacle}. Jobs are spawned instead`,
    { type: 'JobserverWarning', code: 'JOBSERVER_NO_FORKSERVER' },
  );
}

// A zygote as its submitters see it: whether it can serve, how long it is kept, and
// how a request reaches it.
import { clearTimeout, setTimeout } from 'node:timers';
import { inspect } from 'node:util';
import { mostStateBytes, zygoteStates } from '../protocol/fds.js';
import type { Order } from '../protocol/order.js';
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
import { Fd } from '../system/fd.js';
import { obstaclesToForks } from '../system/forkable.js';
import { selector } from '../system/selector.js';
import { decode } from '../wire/value.js';

/** A zygote silent for this long will not respond. */
export const patienceMs = 10_000;

/** What a request says of its job. */
interface JobRequest {
  readonly orphanSignal: number;
  /** See `groupGraceOf`. */
  readonly groupGrace: number;
  readonly hasInput: boolean;
}

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
  /** It has forked this process. */
  readonly isInherited: boolean;
  /** A job has begun in one of its forks. */
  hasServed = false;
  /** Undefined until it is known whether it can serve. */
  #state: State | undefined;
  #onState: (() => void)[] = [];
  #culprit = -1;
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
    this.isInherited = pid === notMyChild;
    // What has forked this process can fork.
    if (this.isInherited) this.#state = 'ready';
    else this.#watch(pid);
  }

  /** Whether it forks already. */
  get isReady(): boolean {
    return this.#state === 'ready' && !this.isGone;
  }

  /** Why it cannot fork; undefined if it can, or was released before it could. */
  get failure(): Error | undefined {
    return this.#state instanceof Error ? this.#state : undefined;
  }

  /** The index in `learned` of the module that made it fail; -1 where none is known. */
  get culprit(): number {
    return this.#culprit;
  }

  /** Whether no open pool has sent a job to it. */
  get isIdle(): boolean {
    return this.#users === 0;
  }

  /**
   * Calls back, at once or later, when it is known whether it can serve. Does not
   * keep the event loop alive.
   */
  whenKnown(callback: () => void): void {
    if (this.#state === undefined) this.#onState.push(callback);
    else callback();
  }

  /** Keeps the zygote for `keepAlive` ms after the pool of the order closes. */
  serve({
    slotPipes,
    keepAlive,
  }: Pick<Order, 'slotPipes' | 'keepAlive'>): void {
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

  send(
    fds: readonly number[],
    { orphanSignal, groupGrace, hasInput }: JobRequest,
  ): void {
    const slack = native.timerSlack();
    const request = Int32Array.of(
      orphanSignal,
      slack,
      groupGrace,
      Number(hasInput),
    );
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

  /** As if no pool used it any more: it ends unless other threads hold it. */
  release(): void {
    this.#release(false);
  }

  #releaseAfter(ms: number): void {
    if (this.isGone || ms > longestTimerMs) return;
    this.#timer = setTimeout(() => {
      this.release();
    }, ms).unref();
  }

  #release(isDead: boolean): void {
    if (this.isGone) return;
    this.isGone = true;
    clearTimeout(this.#timer);
    this.#know('gone');
    const isLast = native.releaseZygote(this.client, isDead) === 1;
    if (!isLast) this.#unwatch();
  }

  /** Does not keep the loop alive. Any turn of the selector reaps the zygote. */
  #watch(pid: number): void {
    const onMessage = (): void => {
      this.#readState();
    };
    if (!selector.tryAdd(this.client, onMessage)) {
      // Nobody would ever learn its state.
      this.#know(new Error('this process lacks what it needs to watch it'));
    }
    this.#exit = new Fd(Math.max(-1, native.exitFd(pid)));
    const isWatched = selector.tryAdd(this.#exit.number, () => {
      this.#readState();
      this.abandon();
      this.#unwatch();
    });
    if (!isWatched) this.#exit.close();
  }

  #readState(): void {
    const message = Buffer.allocUnsafe(mostStateBytes + intBytes);
    const length = native.peek(this.client, message);
    if (length === -errno.EAGAIN) return;
    const bytes = message.subarray(0, Math.max(0, length));
    const [state, reason = -1] = int32sIn(bytes.subarray(0, 2 * intBytes));
    if (state === zygoteStates.ready) this.#know('ready');
    else if (state === zygoteStates.failed) this.#fail(bytes);
    else if (state === zygoteStates.unfit) {
      this.obstacle = obstaclesToForks[reason];
      this.#know(new Error(this.obstacle));
      this.abandon();
    } else {
      this.#know(new Error('its process has ended'));
    }
  }

  #fail(bytes: Buffer): void {
    const [error, culprit] = failureIn(bytes);
    this.#culprit = culprit;
    this.#know(error);
  }

  #know(state: State): void {
    if (this.#state !== undefined) return;
    this.#state = state;
    selector.remove(this.client);
    const callbacks = this.#onState;
    this.#onState = [];
    for (const callback of callbacks) callback();
  }

  #unwatch(): void {
    selector.remove(this.#exit.number);
    this.#exit.close();
  }
}

/** 'gone': it was let go before it was ready. */
type State = 'ready' | 'gone' | Error;

/** In place of the pid of a zygote that another process has started. */
export const notMyChild = 0;

const intBytes = 4;

function int32sIn(bytes: Uint8Array): Int32Array {
  const whole = bytes.length - (bytes.length % intBytes);
  return new Int32Array(bytes.slice(0, whole).buffer);
}

function failureIn(bytes: Buffer): [Error, culprit: number] {
  let failure: unknown;
  try {
    failure = decode(bytes.subarray(intBytes));
  } catch (error) {
    // A preloaded module has written to the socket.
    failure = [error];
  }
  const all = Array.isArray(failure) ? (failure as unknown[]) : [failure];
  const [thrown, culprit] = all;
  const error = thrown instanceof Error ? thrown : new Error(inspect(thrown));
  return [error, typeof culprit === 'number' ? culprit : -1];
}

/** What this process lacks is no fault of the zygote. */
function isShortage(result: number): boolean {
  const { EMFILE, ENOBUFS, ENOMEM } = errno;
  return [EMFILE, ENOBUFS, ENOMEM].includes(-result);
}

// What all handles of one Jobserver share in this process: the slots, the calls
// that wait for one in the order they came, the running jobs, and what their
// callbacks threw. It starts jobs and finishes them; a slot goes back after the
// worker is gone and before anybody hears of it.
import { constants } from 'node:os';
import { setImmediate, setTimeout } from 'node:timers';
import { onAbort } from '../system/abort.js';
import type { Deadline } from '../system/deadline.js';
import { type CallbackRaised, type Ending, codedError } from '../errors.js';
import { type Fd, openPipe } from '../system/fd.js';
import { type Frame, prepareReader } from '../protocol/frame.js';
import { type Future, type FutureOwner, futureControl } from './future.js';
import { Job } from './running-job.js';
import type { Worker } from '../launch/launcher.js';
import { Queue } from '../system/queue.js';
import { selector } from '../system/selector.js';
import type { SlotPipe, Token } from '../slots/slot-pipe.js';
import {
  type Plan,
  type Settled,
  type SlotQueue,
  type Terms,
  Submission,
} from './submission.js';
import { trace } from '../system/trace.js';
import { type Busy, workerState } from '../protocol/worker-state.js';

// Time to go after SIGTERM for a job whose AbortSignal fired, then SIGKILL.
const graceMs = 5000;
const { SIGTERM, SIGKILL } = constants.signals;

export class Resources implements SlotQueue, FutureOwner, Busy {
  readonly slots: SlotPipe;
  #running = 0;
  isClosed = false;
  /** Every unsettled submission, asleep or in line. */
  readonly #pending = new Set<Submission>();
  /** Those in line for a slot, the oldest first. */
  readonly #line = new Queue<Submission>();
  readonly #raised = new Set<Future<unknown>>();
  readonly #stalled = new Set<Future<unknown>>();
  #drained: (() => void)[] = [];

  #generation = workerState.generation;

  constructor(slots: SlotPipe) {
    this.slots = slots;
  }

  /** Jobs started here and not yet finished. */
  get running(): number {
    this.#forgetParent();
    return this.#running;
  }

  // In a fork, what runs and waits here is its parent's.
  #forgetParent(): void {
    if (this.#generation === workerState.generation) return;
    this.#generation = workerState.generation;
    this.#running = 0;
    this.#pending.clear();
    this.#line.clear();
    this.#raised.clear();
    this.#stalled.clear();
    this.#drained = [];
    this.#unheld = 0;
    this.#isHolding = false;
  }

  submit(
    terms: Terms,
    deadline: Deadline,
    onSettled: (settled: Settled) => void,
  ): Submission {
    const submission = this.#admit(terms, deadline, onSettled);
    submission.start();
    return submission;
  }

  submitSync(terms: Terms, deadline: Deadline): Future<unknown> {
    let outcome: Settled | undefined;
    this.#admit(terms, deadline, (settled) => (outcome = settled)).startSync();
    if ('future' in outcome!) return outcome.future;
    throw outcome!.error;
  }

  #admit(
    terms: Terms,
    deadline: Deadline,
    onSettled: (settled: Settled) => void,
  ): Submission {
    this.#forgetParent();
    const submission: Submission = new Submission(
      this,
      terms,
      deadline,
      (settled) => {
        this.#pending.delete(submission);
        this.#balance();
        if ('error' in settled) terms.record?.done('unstarted');
        onSettled(settled);
      },
    );
    this.#pending.add(submission);
    this.#balance();
    terms.record?.submitted();
    return submission;
  }

  tryTake(submission: Submission): Token | undefined {
    const { first } = this.#line;
    if (first !== undefined && first !== submission) return undefined;
    const token = this.slots.tryTake();
    if (token !== undefined || this.#running === 0) return token;
    // A finished job may hold it whose end nobody has looked at yet.
    if (first === undefined) selector.turn(0);
    return this.#line.size === 0 ? this.slots.tryTake() : undefined;
  }

  wait(submission: Submission): void {
    if (this.#line.size === 0) {
      selector.add(this.slots.ready, () => {
        this.#serveLine();
      });
    }
    this.#line.add(submission);
  }

  leave(submission: Submission): void {
    if (!this.#line.delete(submission)) return;
    if (this.#line.size === 0) selector.remove(this.slots.ready);
  }

  #serveLine(): void {
    for (let first; (first = this.#line.first) !== undefined;) {
      first.attempt();
      // Still in line: there was no slot, so there is none for the others.
      if (this.#line.has(first)) return;
    }
  }

  launch(plan: Plan, token: Token | undefined): Future<unknown> {
    const future = futureControl.create(this);
    this.#start(future, plan, token, 1);
    this.#running += 1;
    this.#balance();
    plan.record.started(future);
    return future;
  }

  #start(
    future: Future<unknown>,
    plan: Plan,
    token: Token | undefined,
    retries: number,
  ): void {
    const { worker, reader } = startWorker(plan, token, () => {
      job.advance();
    });
    const job: Job = new Job(worker, reader, (frame, ending) => {
      offAbort();
      const isWanted = plan.signal?.aborted !== true;
      if (ending.neverBegan === true && retries > 0 && isWanted) {
        this.#startAgain(future, plan, token, retries - 1);
      } else {
        token?.give();
        this.#finish(future, plan, frame, ending);
      }
    });
    const offAbort = onAbort(plan.signal, () => {
      futureControl.abort(future, plan.signal?.reason);
      endJob(job);
    });
    futureControl.start(future, job);
    if (trace.enabled) trace('job %d started', worker.pid);
  }

  #startAgain(
    future: Future<unknown>,
    plan: Plan,
    token: Token | undefined,
    retries: number,
  ): void {
    try {
      this.#start(future, plan, token, retries);
    } catch (error) {
      // What has failed has given the token back.
      const refusal = error as Error;
      const ending = { pid: 0, exitCode: null, signal: null, refusal };
      this.#finish(future, plan, undefined, ending);
    }
  }

  #finish(
    future: Future<unknown>,
    plan: Plan,
    frame: Frame | undefined,
    ending: Ending,
  ): void {
    trace(
      'job %d finished: %s, exit code %s, signal %s',
      ending.pid,
      frame?.kind ?? 'no result',
      ending.exitCode,
      ending.signal,
    );
    this.#running -= 1;
    this.#balance();
    futureControl.settle(future, frame, ending);
    const lost = ending.refusal === undefined ? 'lost' : 'unstarted';
    plan.record.done(frame?.kind ?? lost, ending);
    if (this.#running > 0) return;
    // After the callbacks of the last future, which may submit again.
    selector.later(() => {
      selector.later(() => {
        this.#tellDrained();
      });
    });
  }

  #tellDrained(): void {
    if (this.#running > 0) return;
    const drained = this.#drained;
    this.#drained = [];
    for (const tell of drained) tell();
  }

  keepRaised(future: Future<unknown>): void {
    for (const submission of this.#pending) {
      if (!submission.hearsRaised) continue;
      submission.fail(futureControl.takeRaised(future));
      return;
    }
    this.#raised.add(future);
  }

  forgetRaised(future: Future<unknown>): void {
    this.#raised.delete(future);
  }

  /** Hands over what a callback threw and nobody has fetched. */
  throwRaised(): void {
    this.#forgetParent();
    const raised = this.#takeRaised();
    if (raised !== undefined) throw raised;
  }

  keepStalled(future: Future<unknown>): void {
    this.#stalled.add(future);
    setImmediate(() => {
      this.#goOn(future);
    });
  }

  #goOn(future: Future<unknown>): void {
    if (this.#stalled.delete(future)) futureControl.deliver(future);
  }

  #takeRaised(): CallbackRaised | undefined {
    if (this.#raised.size === 0) for (const f of this.#stalled) this.#goOn(f);
    const [future] = this.#raised;
    return future && futureControl.takeRaised(future);
  }

  /** Looks once at what is ready, here and elsewhere in this thread. */
  reclaim(): void {
    this.#forgetParent();
    selector.turn(0);
  }

  checkOpen(): void {
    if (this.isClosed) throw closedError();
  }

  /** Refuses new work, and that which still waits for a slot. */
  refuse(): void {
    this.#forgetParent();
    if (this.isClosed) return;
    this.isClosed = true;
    for (const submission of this.#pending) submission.fail(closedError());
    this.slots.close();
  }

  /** Resolves when no job of this process runs here any more. */
  drain(): Promise<void> {
    if (this.#running === 0) return Promise.resolve();
    return new Promise((resolve) => this.#drained.push(resolve));
  }

  /** Issues what callbacks are left; the first failure is thrown, the others become warnings. */
  reportRaised(): void {
    const first = this.#takeRaised();
    for (let next; (next = this.#takeRaised()) !== undefined;) {
      process.emitWarning(`${next.message}: ${String(next.cause)}`, {
        type: 'JobserverWarning',
        code: next.code,
      });
    }
    if (first !== undefined) throw first;
  }

  /** Submissions and jobs that do not keep the process alive. */
  #unheld = 0;
  #isHolding = false;

  /** So many more of them do not hold the event loop, or fewer. */
  unhold(count: number): void {
    this.#unheld += count;
    this.#balance();
  }

  /** Holds the event loop as long as there is something to wait for. */
  #balance(): void {
    const busy = this.#running + this.#pending.size;
    if (busy > 0) workerState.busy.add(this);
    else workerState.busy.delete(this);
    const isHolding = busy > this.#unheld;
    if (isHolding === this.#isHolding) return;
    this.#isHolding = isHolding;
    if (isHolding) selector.hold();
    else selector.release();
  }
}

interface StartedWorker {
  readonly worker: Worker;
  readonly reader: Fd;
}

function startWorker(
  { launcher, order }: Plan,
  token: Token | undefined,
  onReadable: () => void,
): StartedWorker {
  let reader: Fd | undefined;
  let writer: Fd | undefined;
  try {
    ({ reader, writer } = openPipe('result pipe'));
    prepareReader(reader.number);
    // Before the start, since nothing may fail after it.
    selector.add(reader.number, onReadable);
    const byte = token?.byte ?? -1;
    return { worker: launcher.launch(order, writer.number, byte), reader };
  } catch (error) {
    if (reader !== undefined) selector.remove(reader.number);
    reader?.close();
    token?.give();
    throw error;
  } finally {
    writer?.close();
  }
}

function endJob(job: Job): void {
  job.kill(SIGTERM);
  const timer = setTimeout(() => {
    job.kill(SIGKILL);
  }, graceMs);
  timer.unref();
}

function closedError(): Error {
  return codedError('ERR_JOBSERVER_CLOSED', 'Jobserver is closed');
}

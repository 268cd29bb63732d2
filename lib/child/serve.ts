// A worker that runs several jobs, one after another: it takes each order from
// its socket, claims the job, runs it and answers, until the socket ends. A job
// that leaves something behind is the last one, and none begins once a file of the
// code has changed.
import { setImmediate } from 'node:timers';
import { changesOfModules, followFunctions } from '../functions/sources.js';
import { workingDirectory } from '../protocol/environment.js';
import { Claims } from '../protocol/claims.js';
import type { Frame, MessageKind } from '../protocol/frame.js';
import { MessageReader, MessageWriter } from '../protocol/messages.js';
import { type Head, type WorkerBody, unpackHead } from '../protocol/order.js';
import {
  type PackedSurroundings,
  unpackEnv,
  unpackSurroundings,
} from '../protocol/surroundings.js';
import {
  type Call,
  type Readiness,
  packReport,
  unpackCall,
} from '../protocol/worker-messages.js';
import { workerState } from '../protocol/worker-state.js';
import { noSlot } from '../slots/slot-pipe.js';
import {
  type Watch,
  check,
  errno,
  native,
  systemError,
} from '../system/binding.js';
import { now } from '../system/deadline.js';
import { trace } from '../system/trace.js';
import type { Encoded } from '../wire/value.js';
import { changeDirectory, changeEnvironment } from './after-fork.js';
import { type Answer, answerOn } from './answer.js';
import { callEither } from './call.js';
import { Growth } from './growth.js';
import { Leftovers } from './leftovers.js';
import { flushOutput, hasOutput } from './output.js';
import {
  type Functions,
  type WorkerOrder,
  callOf,
  end,
  frameOfError,
  frameOfValue,
  load,
} from './run.js';
import { enterWorker, followSubmitter } from './worker.js';

export interface ServerOrder extends WorkerOrder<WorkerBody> {
  readonly claimsFile: number;
}

/** Runs jobs, and ends the process. */
export function serve(order: ServerOrder): void {
  const claims = new Claims(order.claimsFile);
  native.close(order.claimsFile);
  const server = new Server(order, claims);
  enterWorker({ ...order, token: noSlot }, order.body.head, claims);
  if (order.forkserverFd < 0) {
    followSubmitter(order.body.head.orphanSignal, server.answer);
  }
  server.start();
}

/** The functions of a head. */
interface Loaded extends Functions {
  readonly head: Head;
}

// Of as many heads, the functions are kept.
const mostLoaded = 64;

class Server {
  readonly #order: ServerOrder;
  readonly #claims: Claims;
  readonly #socket: number;
  readonly #reader = new MessageReader();
  readonly #writer = new MessageWriter();
  #watch: Watch | undefined;
  #isBusy = false;
  /** What the next message of an answer says. */
  #stateAfter: Readiness = 'busy';
  /** No more orders will come. */
  #isOver = false;
  /** By the heads. */
  readonly #known = new Map<string, Loaded>();
  /** The head that was received last, and its functions. */
  #head: Buffer = Buffer.alloc(0);
  #loaded: Loaded | undefined;
  #leftovers = new Leftovers();
  readonly #growth: Growth;
  #surroundings: PackedSurroundings | undefined;
  /** See `native.environmentStamp`: that of the surroundings. */
  #stamp = -1;
  #beganAt = 0;
  /** Before the first job, that of no job. */
  answer: Answer;

  constructor(order: ServerOrder, claims: Claims) {
    this.#order = order;
    this.#claims = claims;
    this.#socket = order.resultFd;
    this.#growth = new Growth(order.body.head.maxProcessMemory ?? Infinity);
    this.answer = this.#answerTo(0);
  }

  start(): void {
    check(native.setNonBlocking(this.#socket, true), 'prepare the socket');
    const watch = native.watch(this.#socket, () => this.#receive());
    if (typeof watch === 'number') throw systemError(watch, 'watch the socket');
    this.#watch = watch;
    if (this.#receive()) this.#takeLater();
  }

  /** True when another job can begin. */
  #receive(): boolean {
    const isFilled = !this.#isBusy && this.#reader.hasNext;
    if (!isFilled && !this.#isOver && !this.#reader.fill(this.#socket)) {
      this.#isOver = true;
      native.unwatch(this.#watch!);
    }
    return this.#takeNext();
  }

  /**
   * Begins the next job that was not recalled, and none when the submitter is
   * gone. True when there is another.
   */
  #takeNext(): boolean {
    let hasRun = false;
    while (!this.#isBusy && !this.#isOver && this.#reader.hasNext) {
      // What a job has left to Node runs before the next job.
      if (hasRun) return true;
      // The job would find old code here.
      this.#isOver = changesOfModules() > 0;
      if (this.#isOver) break;
      const message = this.#reader.next();
      if (message === undefined) continue;
      const isClaimed = this.#claims.claim(message.job);
      const call = unpackCall(message);
      // Later calls may refer to what this one has, also if it was recalled. So
      // one that could not be received is the last.
      if (call === undefined) this.#isOver = true;
      else this.#remember(call);
      if (!isClaimed) continue;
      this.#run(message.job, call);
      hasRun = true;
    }
    if (this.#isOver && !this.#isBusy) void this.#leave();
    return false;
  }

  // It counts as busy until then: the job after the next one would find the
  // immediate, and take it for one that a job has left.
  #takeLater(): void {
    this.#isBusy = true;
    setImmediate(() => {
      this.#isBusy = false;
      if (this.#takeNext()) this.#takeLater();
    });
  }

  #remember({ head, surroundings }: Call): void {
    if (head !== undefined) {
      this.#head = head;
      this.#loaded = this.#known.get(head.toString('latin1'));
    }
    if (surroundings !== undefined) {
      this.#surroundings = unpackSurroundings(surroundings);
      this.#stamp = -1;
    }
  }

  #run(job: number, call: Call | undefined): void {
    this.#isBusy = true;
    this.#stateAfter = 'busy';
    this.#beganAt = now();
    this.answer = this.#answerTo(job);
    const frame = this.#perform(call);
    if (!(frame instanceof Promise)) {
      this.#finish(job, frame);
      return;
    }
    // A job whose promise never settles ends with the event loop.
    if (!this.#isOver) native.refWatch(this.#watch!, false);
    void frame.then((settled) => {
      this.#finish(job, settled);
      if (!this.#isBusy) this.#goOn();
    });
  }

  #finish(job: number, { kind, content }: Frame): void {
    const isClean = this.#leftovers.find() === undefined && !hasOutput();
    const isLast = isClean && this.#growth.isTooMuch();
    this.#stateAfter = isLast ? 'last' : isClean ? 'free' : 'busy';
    this.answer.send(kind, content);
    if (isLast) {
      void this.#leave();
    } else if (isClean) {
      process.exitCode = undefined;
      this.#isBusy = false;
    } else {
      void this.#settle(job);
    }
  }

  /** Called where the job was not a step of `takeNext`. */
  #goOn(): void {
    if (!this.#isOver) native.refWatch(this.#watch!, true);
    this.#takeLater();
  }

  #perform(call: Call | undefined): Frame | Promise<Frame> {
    try {
      if (call === undefined) {
        throw systemError(-errno.EMFILE, 'receive the arguments');
      }
      workerState.ambient!.token = call.token;
      this.#enter();
      if (this.#loaded === undefined) return this.#loadAndCall(call);
      return this.#call(this.#loaded, call);
    } catch (error) {
      return frameOfError(error);
    }
  }

  async #loadAndCall(call: Call): Promise<Frame> {
    try {
      const head = unpackHead(this.#head);
      followFunctions([head.fn, head.preexec, ...head.imports]);
      this.#loaded = { ...(await load(head)), head };
      if (this.#known.size === mostLoaded) this.#known.clear();
      this.#known.set(this.#head.toString('latin1'), this.#loaded);
      // Modules may add listeners and open handles when they are loaded.
      this.#leftovers = new Leftovers();
      return await this.#call(this.#loaded, call);
    } catch (error) {
      return frameOfError(error);
    }
  }

  #call(loaded: Loaded, call: Call): Frame | Promise<Frame> {
    const { args, preexecArgs } = call;
    const body = { head: loaded.head, args, preexecArgs };
    const value = callEither(callOf(loaded, body, this.#order.slotPipes));
    if (value instanceof Promise) return frameOfPromise(value);
    return frameOfValue(value);
  }

  /** Waits for what the job has left behind. */
  async #settle(job: number): Promise<void> {
    await flushOutput();
    const left = this.#leftovers.find();
    if (left === undefined && !this.#growth.isTooMuch()) {
      this.#send(job, 'none', 'free');
      process.exitCode = undefined;
      this.#goOn();
      return;
    }
    if (left !== undefined) {
      trace('job %d has left %s behind, so its process ends', job, left);
    }
    for (const busy of workerState.busy) {
      busy.refuse();
      await busy.drain();
    }
    this.#send(job, 'none', 'last');
    await this.#leave();
  }

  /** Follows the submitter, and undoes what an earlier job has changed. */
  #enter(): void {
    const { cwd, submitter, env } = this.#surroundings!;
    if (cwd !== workingDirectory()) changeDirectory(cwd, submitter);
    if (native.environmentStamp() === this.#stamp) return;
    changeEnvironment(new Map(Object.entries(process.env)), unpackEnv(env));
    this.#stamp = native.environmentStamp();
  }

  async #leave(): Promise<void> {
    this.#isBusy = true;
    await end(this.#order.exit, this.answer);
  }

  #answerTo(job: number): Answer {
    return answerOn(this.#socket, (kind, content) => {
      this.#send(job, kind, this.#stateAfter, content);
    });
  }

  #send(
    job: number,
    kind: MessageKind | 'none',
    state: Readiness,
    content: Encoded = '',
  ): void {
    const runTime = Math.round((now() - this.#beganAt) * 1000);
    const code = packReport({ kind, state });
    const message = { kind: code, job, runTime, parts: [content] };
    // False when the submitter is gone, or a job has closed the socket.
    if (!this.#writer.send(this.#socket, message, true)) this.#isOver = true;
  }
}

async function frameOfPromise(promise: Promise<unknown>): Promise<Frame> {
  try {
    return frameOfValue(await promise);
  } catch (error) {
    return frameOfError(error);
  }
}

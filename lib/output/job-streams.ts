// The standard streams of one job. Each attempt has pipes of its own, which are read
// to the end when its process has ended; a child that it has left behind cannot write
// to them any more.
import { constants } from 'node:fs';
import { devNull } from 'node:os';
import { check, native } from '../system/binding.js';
import { Fd, openFile, openPipe, writeAllAt } from '../system/fd.js';
import { trace } from '../system/trace.js';
import { Delivery } from './delivery.js';
import { writeGroup } from './group.js';
import { KeptStream } from './kept-stream.js';
import { Lines } from './lines.js';
import { PipeReader } from './pipe-reader.js';
import {
  type Listener,
  type Stdio,
  type StreamName,
  type StreamPlan,
  inheritedStdio,
} from './plan.js';

const names: readonly StreamName[] = ['stdout', 'stderr'];

/** What a job that has ended has written. */
export interface KeptOutput {
  /** Undefined if its output was not captured. */
  readonly captured: Readonly<Record<StreamName, Buffer>> | undefined;
  /** The end of its standard error. */
  readonly lastErrors: () => string;
}

// How much of its standard error an error has.
const lastErrorBytes = 64 << 10;

export class JobStreams {
  readonly #plan: StreamPlan;
  readonly #delivery: Delivery | undefined;
  /** Those of the last attempt. */
  #kept: Readonly<Record<StreamName, KeptStream>> | undefined;
  #order = 0;
  #lastRead: StreamName | undefined;
  #readers: PipeReader[] = [];
  #lines: Lines[] = [];
  /** What the process of the job inherits; closed here once it has it. */
  #ends: Fd[] = [];

  constructor(
    plan: StreamPlan,
    listener: Listener | undefined,
    onError: (error: unknown) => void,
  ) {
    this.#plan = plan;
    if (listener === undefined) return;
    const onPause = (isPaused: boolean): void => {
      for (const reader of this.#readers) {
        if (isPaused) reader.pause();
        else reader.start();
      }
    };
    this.#delivery = new Delivery(listener, { onPause, onError });
  }

  /** What the process of an attempt gets, until `closeEnds`. */
  open(): Stdio {
    try {
      const input = this.#openInput();
      const { output } = this.#plan;
      if (output === 'inherit') return { ...inheritedStdio, input };
      if (output === 'ignore') {
        const sink = this.#keep(openFile(devNull, constants.O_WRONLY));
        return { input, stdout: sink, stderr: sink };
      }
      const keeps = output === 'group' || output === 'capture';
      const keptStream = (): KeptStream => new KeptStream(this.#plan.mostBytes);
      this.#kept = keeps
        ? { stdout: keptStream(), stderr: keptStream() }
        : undefined;
      const [stdout, stderr] = names.map((name) => this.#openPipe(name));
      return { input, stdout: stdout!, stderr: stderr! };
    } catch (error) {
      this.abandon();
      throw error;
    }
  }

  /** Like `open`, but returns undefined when that fails. */
  tryOpen(): Stdio | undefined {
    try {
      return this.open();
    } catch (error) {
      trace('no pipes for the output of a job could be opened: %s', error);
      return undefined;
    }
  }

  #keep(end: Fd): number {
    this.#ends.push(end);
    return end.number;
  }

  #openInput(): number | undefined {
    const { input } = this.#plan;
    if (input === undefined) return undefined;
    const file = new Fd(check(native.anonymousFile(), 'open the input'));
    const number = this.#keep(file);
    // Leaves its offset at the start.
    check(writeAllAt(number, input, 0), 'write the input');
    return number;
  }

  #openPipe(name: StreamName): number {
    const { reader, writer } = openPipe(`the ${name} of a job`);
    const number = this.#keep(writer);
    const { isByLine, mostBytes } = this.#plan;
    const lines = isByLine ? new Lines(mostBytes) : undefined;
    if (lines !== undefined) this.#lines.push(lines);
    const pipe = new PipeReader(reader, (bytes) => {
      this.#onBytes(name, bytes, lines);
    });
    this.#readers.push(pipe);
    check(native.setNonBlocking(reader.number, true), 'prepare a pipe');
    if (this.#delivery?.isPaused !== true) pipe.start();
    return number;
  }

  #onBytes(name: StreamName, bytes: Buffer, lines: Lines | undefined): void {
    if (this.#kept !== undefined) {
      if (this.#lastRead !== name) this.#order += 1;
      this.#lastRead = name;
      this.#kept[name].add(bytes, this.#order);
    } else if (lines === undefined) {
      this.#delivery!.add(Buffer.from(bytes), name);
    } else {
      for (const line of lines.add(bytes)) this.#delivery!.add(line, name);
    }
  }

  /** The process has got its ends, or there is none. */
  closeEnds(): void {
    for (const end of this.#ends.splice(0)) end.close();
  }

  /** No process has begun. */
  abandon(): void {
    this.closeEnds();
    for (const reader of this.#readers.splice(0)) reader.close();
    this.#lines = [];
  }

  /** The process has ended, or has begun to run another job. */
  end(): void {
    if (this.#readers.length === 0) return;
    for (const reader of this.#readers.splice(0)) reader.end();
    for (const [i, lines] of this.#lines.entries()) {
      for (const line of lines.end()) this.#delivery!.add(line, names[i]!);
    }
    this.#lines = [];
    if (this.#plan.output !== 'group') return;
    const { stdout, stderr } = this.#kept!;
    writeGroup(stdout, stderr);
  }

  /** From now on, the end of the job waits for no promise of the listener. */
  hurry(): void {
    this.#delivery?.hurry();
  }

  /** Calls back, at once or later, when the listener has had everything. */
  whenDelivered(callback: () => void): void {
    if (this.#delivery === undefined) callback();
    else this.#delivery.whenDone(callback);
  }

  /** Undefined where nothing is kept. */
  takeKept(): KeptOutput | undefined {
    const kept = this.#kept;
    this.#kept = undefined;
    if (kept === undefined) return undefined;
    const lastErrors = (): string =>
      kept.stderr.bytes().subarray(-lastErrorBytes).toString();
    if (this.#plan.output === 'group')
      return { captured: undefined, lastErrors };
    const captured = {
      stdout: kept.stdout.bytes(),
      stderr: kept.stderr.bytes(),
    };
    return { captured, lastErrors };
  }
}

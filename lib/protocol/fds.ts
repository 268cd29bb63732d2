// What each fd of a new process is for, and the numbers that JavaScript and the
// C++ loop of the zygote share. The C++ side is native/protocol.h; a test
// compares the two.
import type { Stdio } from '../output/plan.js';
import { locksOf, needsLocks } from '../slots/locks.js';
import { Fd } from '../system/fd.js';
import type { Head, Order, WorkerHead } from './order.js';
import { usageInts } from './usage.js';

/** In a node that `launch/spawn` has started, after the standard streams. */
export const spawnedFds = { order: 3, result: 4, firstInherited: 5 } as const;

/** In a zygote: the socket on which requests arrive. */
export const zygoteRequestFd = 3;

/** In a zygote: the file with its preparation, until it is read. */
export const zygotePreparationFd = 4;

/**
 * Positions of the fds in a request to a zygote. The C++ loop hands those from
 * `order` on to JavaScript.
 */
export const requestFds = {
  report: 0,
  stdout: 1,
  stderr: 2,
  order: 3,
  result: 4,
  zygote: 5,
  firstInherited: 6,
} as const;

/** Kinds of the reports that a submitter receives about a requested job. */
export const reportKinds = {
  /** value: the pid; a pidfd comes with it. */
  started: 1,
  /** value: the exit code, or -1; signal: its number, or 0; with the usage. */
  ended: 2,
  /** value: the errno of the fork that failed. */
  refused: 3,
  /** Forks of the zygote cannot run jobs; value: see `obstaclesToForks`. */
  declined: 4,
  /** The zygote differs from the submitter in what a fork cannot change. */
  mismatch: 5,
} as const;

/**
 * A zygote sends one message to its submitters, on the socket of its requests: one
 * of these numbers as an int32, then bytes. All submitters share their end of the
 * socket. So each of them reads the message without taking it from the socket.
 */
export const zygoteStates = {
  /** It forks from here on. */
  ready: 1,
  /** Its forks cannot run jobs; an int32 follows: see `obstaclesToForks`. */
  unfit: 2,
  /** What it was to load or to run has failed; the encoded error follows. */
  failed: 3,
} as const;

/** An error takes at most as many bytes there. A socket has room for more. */
export const mostStateBytes = 64 << 10;

/**
 * A request is this many int32: the orphan signal, or 0; the timer slack of the
 * submitter in nanoseconds; how many milliseconds the process group of the job may
 * outlive it, -1: it has none, `mostInt32`: any time; 1 if the last fd is the input of
 * the job.
 */
export const requestInts = 4;

export const mostInt32 = 2 ** 31 - 1;

/** A report is this many int32: kind, value, signal, and those of a usage. */
export const reportInts = 3 + usageInts;

/** The most fds that come with one message. */
export const mostPassedFds = 128;

/** What a child of the zygote asks of JavaScript at each step of its life. */
export const childSteps = {
  /** Run what each job runs: the zygote observes which memory it touches. */
  scoutBegins: 1,
  /** Prepare for a job: the child waits for a request afterwards. */
  spareBegins: 2,
  /** Run the job of a request, whose fds come along. */
  jobBegins: 3,
  /** The event loop is empty. */
  loopIsEmpty: 4,
  /** The event loop is still empty: end the process. */
  jobEnds: 5,
  /** In the zygote itself: a thread stays busy, so refuse all requests. */
  neverQuiet: 6,
  /** In the zygote itself: run a part of what is left, then call resumeForks. */
  mayPrepare: 7,
} as const;

/** The fds of a job that JavaScript uses. */
export interface JobFds {
  readonly order: number;
  readonly result: number;
  /** The socket to the zygote. */
  readonly zygote: number;
  /** What `inheritedFds` returned for the job. */
  readonly inherited: readonly number[];
}

/** The fds of a job in a request. */
export interface RequestedFds extends JobFds {
  readonly stdio: Stdio;
}

/** The fds of a request, in the order of `requestFds`; then the input, if any. */
export function packRequest(
  report: number,
  { stdio, order, result, zygote, inherited }: RequestedFds,
): number[] {
  const { input, stdout, stderr } = stdio;
  const fds = [report, stdout, stderr, order, result, zygote, ...inherited];
  if (input !== undefined) fds.push(input);
  return fds;
}

/** The fds that the zygote's loop hands to a job: those from `order` on. */
export function unpackJobFds(fds: readonly number[]): JobFds {
  const at = (position: number): number => fds[position - requestFds.order]!;
  return {
    order: at(requestFds.order),
    result: at(requestFds.result),
    zygote: at(requestFds.zygote),
    inherited: fds.slice(requestFds.firstInherited - requestFds.order),
  };
}

/**
 * The fds that a job inherits besides its own: reader, writer and trustee of each slot
 * pipe, and its file of locks if it has one; the file of the claims, if there is one;
 * its ends of channels; the lenders of its token; then the files of its large buffers.
 * Borrowed.
 */
export function inheritedFds(
  {
    slotPipes,
    claimsFile,
    ports = [],
  }: Pick<Order, 'slotPipes' | 'claimsFile' | 'ports'>,
  lenders: readonly number[],
  enclosures: readonly number[],
): number[] {
  return [
    ...slotPipes.flatMap((pipe) => {
      const { reader, writer, trustee } = pipe;
      const fds = [reader, writer, trustee];
      return needsLocks ? [...fds, locksOf(pipe)] : fds;
    }),
    ...(claimsFile === undefined ? [] : [claimsFile]),
    ...ports.map(({ fd }) => fd),
    ...lenders,
    ...enclosures,
  ];
}

/** How many of them belong to a slot pipe. */
export const pipeFds = needsLocks ? 4 : 3;

/** A slot pipe that a worker has inherited. */
export interface InheritedSlots {
  readonly reader: number;
  readonly writer: number;
  readonly count: number | undefined;
  /** See `SlotPipe`. */
  readonly identity: symbol;
  /** See `SlotPipe`. */
  readonly trustee: number;
  /** See `locksOf`; default: -1. */
  readonly locks?: number;
}

/** What `inheritedFds` had, in the worker. */
export interface Inherited {
  readonly slotPipes: readonly InheritedSlots[];
  /** -1 for a worker of one job. */
  readonly claimsFile: number;
  /** Its ends of channels; owned. */
  readonly ports: readonly number[];
  readonly lenders: readonly number[];
  /** The files of its large buffers; owned. */
  readonly enclosures: readonly Fd[];
}

/** `fds`: as `inheritedFds` returns them. */
export function unpackInherited(
  { slots, hasClaims, ports: portCount = 0 }: WorkerHead & Pick<Head, 'ports'>,
  enclosureCount: number,
  fds: readonly number[],
): Inherited {
  const slotPipes = slots.map((count, i) => ({
    reader: fds[pipeFds * i]!,
    writer: fds[pipeFds * i + 1]!,
    trustee: fds[pipeFds * i + 2]!,
    count,
    identity: Symbol('slot pipe'),
    locks: needsLocks ? fds[pipeFds * i + 3]! : -1,
  }));
  const others = fds.slice(pipeFds * slots.length);
  const claimsFile = hasClaims ? others.shift()! : -1;
  const ports = others.splice(0, portCount);
  const files = others.splice(others.length - enclosureCount);
  const enclosures = files.map((file) => new Fd(file));
  return { slotPipes, claimsFile, ports, lenders: others, enclosures };
}

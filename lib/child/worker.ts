// How a process becomes a worker: it joins the pool that runs its job, guards
// the token of the job, and follows its submitter.
import type { Claims } from '../protocol/claims.js';
import type { Inherited } from '../protocol/fds.js';
import type { Head, WorkerHead } from '../protocol/order.js';
import type { Preload } from '../protocol/preparation.js';
import { defaultGraceMs } from '../protocol/settings.js';
import { workerState } from '../protocol/worker-state.js';
import { check, native } from '../system/binding.js';
import { type Answer, currentAnswer } from './answer.js';
import { encodeReport } from './outcome.js';

/** What a job has from its process. The first slot pipe is the one it runs under. */
export interface WorkerFds extends Omit<
  Inherited,
  'claimsFile' | 'enclosures' | 'ports'
> {
  /** See `Token.byte`. */
  readonly token: number;
  /** For jobs of the job. */
  readonly preload: Preload;
  readonly resultFd: number;
  /** The socket of the zygote that this process was forked from, or -1. */
  readonly forkserverFd: number;
}

/** What `giveTokenBack` writes, and where. */
let held: { readonly writer: number; readonly token: number } | undefined;

export function enterWorker(
  { token, preload, resultFd, slotPipes, lenders, forkserverFd }: WorkerFds,
  {
    context,
    warmUp,
    orphanSignal,
    processGroup = false,
  }: Pick<WorkerHead, 'context' | 'warmUp' | 'orphanSignal' | 'processGroup'>,
  claims?: Claims,
): void {
  const [slots] = slotPipes;
  workerState.isWorker = true;
  workerState.ambient = slots && {
    reader: slots.reader,
    writer: slots.writer,
    slots: slots.count,
    identity: slots.identity,
    trustee: slots.trustee,
    locks: slots.locks ?? -1,
    token,
    resultSockets: [...lenders, resultFd],
    announceLoan: () => currentAnswer()!.announceLoan(),
    report: (value) => currentAnswer()!.report(encodeReport(value)),
    jobSlot: undefined,
    signal: () => listen(orphanSignal),
    endSignal: undefined,
    context,
    preparation: { preload, warmUp },
    forkserverFd,
    leadsGroup: processGroup,
  };
  check(native.setLenders(Int32Array.from(lenders)), 'guard a lent token');
  if (claims === undefined) native.shareToken(new Int32Array(0));
  else claims.guard();
  // With claims, the guard reads the token of each job from their page.
  const byte = claims === undefined ? token : 0;
  held = slots && byte >= 0 ? { writer: slots.writer, token: byte } : undefined;
  if (orphanSignal > 0) {
    const { writer, token } = held ?? { writer: -1, token: 0 };
    native.guardToken(orphanSignal, resultFd, writer, token);
    // The zygote ends the groups of its children.
    if (processGroup && forkserverFd < 0) native.guardGroup(true);
  }
  // Signals that arrived before the guard was installed are delivered now.
  native.unblockSignals();
}

/** Jobs have the limit that their submitter had when it submitted them. */
export function setMemoryLimit({
  memoryLimit,
}: Pick<Head, 'memoryLimit'>): void {
  native.limitSegments(memoryLimit ?? Infinity);
}

// Required here, because most jobs do not listen.
function listen(orphanSignal: number): AbortSignal {
  const { signalOfJob } =
    require('./job-signal.js') as typeof import('./job-signal.js');
  return signalOfJob(orphanSignal);
}

let graceMs = defaultGraceMs;

/** How long the job may run on after its orphan signal. */
export function setKillGrace({
  killGrace = defaultGraceMs,
}: Pick<Head, 'killGrace'>): void {
  // JSON has no Infinity.
  const ms = killGrace ?? Infinity;
  if (ms !== graceMs) native.setGrace(ms);
  graceMs = ms;
}

/**
 * Requests the orphan signal. Called after `enterWorker`, because a signal that
 * arrived earlier would end the worker without giving the slot back. If the
 * submitter died before the request, the result socket shows it.
 */
export function followSubmitter(orphanSignal: number, answer: Answer): void {
  if (orphanSignal === 0) return;
  // Fails on macOS, which has no such signal: orphans run on there.
  native.setDeathSignal(orphanSignal, process.ppid);
  if (answer.isOrphan()) native.kill(native.getpid(), -1, orphanSignal);
}

/**
 * Called only in an orphan: a living submitter gives the token back itself. So
 * does a living submitter of a lender, and a process that runs in a lent slot.
 */
export function giveTokenBack(): void {
  if (held !== undefined) native.giveToken(held.writer, held.token);
  native.endGroup();
}

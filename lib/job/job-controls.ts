// What `with` changes, and how each change is checked.
import type { Context } from '../context.js';
import { invalidArgument, outOfRange } from '../errors.js';
import type { Callable } from '../functions/function-ref.js';
import { type EnvAdditions, revise } from '../protocol/environment.js';
import type { ProcessSettings, ResourceLimits } from '../protocol/settings.js';
import {
  checkBoolean,
  checkMost,
  checkMs,
  checkOptions,
} from '../system/options.js';
import { type Preexec, targetOf } from './encode-call.js';
import type { Future } from './future.js';
import { type PreparationOptions, changePreload } from './preparation.js';
import {
  checkDirectory,
  checkExecArgv,
  checkGroup,
  checkHeap,
  checkInheritance,
  checkNice,
  checkOomScore,
  mergeLimits,
  nodeOptionsOf,
} from './process-controls.js';
import type { ReportListener } from './plan.js';
import {
  type JobOutput,
  changeInput,
  changeMaxOutput,
  changeOutput,
} from './streams.js';
import { type SleepGate, admitAlways } from './submission.js';

import { type Controls, checkJobsPerProcess } from './controls.js';
/** What {@link Jobserver.with} changes. */
export interface JobControls {
  /**
   * Environment variables of the jobs, in addition to earlier ones; null unsets
   * a variable.
   */
  env?: EnvAdditions | undefined;
  /**
   * A function that the job calls before its own, or an array of one and its
   * arguments. See {@link Jobserver.replacePreexec}. null: none.
   */
  preexec?:
    | Callable<[], unknown>
    | readonly [Callable<never[], unknown>, ...unknown[]]
    | null
    | undefined;
  /** See {@link Jobserver.replaceSleep}. null: none. */
  sleep?: SleepGate | null | undefined;
  /**
   * In the place of {@link JobserverOptions.preload}. Handles whose modules differ share
   * the slots, and have different zygotes. A `warmUp` of the handle stays.
   */
  preload?: PreparationOptions['preload'];
  /** See {@link JobserverOptions.jobsPerProcess}. */
  jobsPerProcess?: number | undefined;
  /**
   * Milliseconds that a job may run: above 0, Infinity: any. Default Infinity. They
   * count from the start of its process; in a process that runs several jobs, from
   * when that begins the job. Then the job is ended as by an AbortSignal, and its
   * outcome is a DOMException named TimeoutError.
   */
  runTimeout?: number | undefined;
  /**
   * Milliseconds between the signal by which a job is asked to end and SIGKILL: 0 or
   * more, Infinity: no SIGKILL. Default 5000. `runTimeout` and an AbortSignal send
   * SIGTERM; `close` and the `shutdown` of an executor send their `killSignal`.
   */
  killGrace?: number | undefined;
  /**
   * Whether the process of the job leads a process group. Then every signal that the
   * library sends to the job goes to its child processes as well. What the job leaves
   * in the group gets SIGTERM when the process of the job has ended, and SIGKILL after
   * `killGrace`; the result does not wait for that. Default false; in a job whose
   * process leads a group, true. Not with `orphanSignal: null`.
   */
  processGroup?: boolean | undefined;
  /**
   * How often a job is started again that was lost: an integer, 0 or more, or
   * Infinity. Default 0. A job that has thrown is not lost. It keeps its slot. One
   * that was ended by `kill`, an AbortSignal or `runTimeout` is not started again,
   * nor one of a Jobserver that is closed. Each attempt has the whole `runTimeout`.
   */
  retries?: number | undefined;
  /**
   * Called in this process with each value that a job gives to {@link report}, in
   * their order, while the job runs, and before its Future is done. null: none. What
   * it throws is the cause of a {@link CallbackRaised} when the job is done; for this
   * job it is not called again. A handle that is sent to a job does not take it along.
   */
  onReport?:
    ((value: unknown, future: Future<unknown>) => void) | null | undefined;
  /**
   * The working directory of the job. A relative path is one in the directory of
   * this process at the call of `with`. Default: that of this process at the submit.
   */
  cwd?: string | URL | undefined;
  /**
   * The nice level of the process, -20 to 19. Default: that of this process. A level
   * below it needs a privilege; without that, the job fails with EACCES.
   */
  nice?: number | undefined;
  /**
   * Limits of the process, as setrlimit(2) has them, in addition to earlier ones. Its
   * child processes inherit them.
   */
  limits?: ResourceLimits | undefined;
  /**
   * Added to the `oom_score_adj` of this process, 0 to 1000 (Linux): the higher, the
   * sooner the kernel ends the job when it runs out of memory. Default 0.
   */
  oomScoreAdj?: number | undefined;
  /**
   * MiB of the heap of V8 for old objects: `--max-old-space-size`. In the forkserver
   * context, each value has a zygote of its own. The fork context refuses it.
   */
  maxHeapMb?: number | undefined;
  /**
   * Options of node for the process of the job, after those of this process; they
   * replace those of an earlier handle. In the forkserver context, each list has a
   * zygote of its own. The fork context refuses them.
   */
  execArgv?: readonly string[] | undefined;
  /**
   * Whether the process of the job has the options of node that this process has been
   * started with (`process.execArgv`). Default true. false: it has only those of
   * `execArgv` and `maxHeapMb`, as in `child_process.fork` with `execArgv`, and those
   * of the permission model unless `execArgv` has `--permission`. NODE_OPTIONS applies
   * in any case. The fork context refuses it.
   *
   * @example
   * ```js
   * // Also under `node --import ./hooks.mjs`, the jobs start without the hooks.
   * const plain = jobserver.with({ inheritExecArgv: false });
   * ```
   */
  inheritExecArgv?: boolean | undefined;
  /**
   * What becomes of what the process writes to its standard output and its standard
   * error, and what its child processes write there. Default 'inherit'.
   *
   * - 'inherit': it goes where this process writes.
   * - 'ignore': nothing is kept of it.
   * - 'group': when the process ends, it is written to descriptors 1 and 2 of this
   *   process, in one piece that no other group of the pool interrupts.
   * - 'capture': it is `stdout` and `stderr` of the {@link Future}.
   * - a function is called with each chunk as it comes; an object with `lines`, with
   *   each line.
   */
  output?: JobOutput | undefined;
  /**
   * Bytes that 'group' and 'capture' keep of each stream, 0 or more, or Infinity. Of
   * more, the first and the last ones are kept, with a line between them that says
   * how many are missing. `lines` cuts a line that has more characters. Default 64
   * MiB.
   */
  maxOutput?: number | undefined;
  /**
   * What the process reads from its standard input, which is empty by default. The
   * bytes are copied. A job with input has a process of its own. null: none.
   */
  input?: string | Uint8Array | null | undefined;
  /**
   * Measures what each job uses in a process that runs several: see
   * {@link Future.usage}. Other jobs are measured in any case. Default false.
   */
  usage?: boolean | undefined;
}

/** What each control changes; it throws for an invalid value. */
const changes: {
  readonly [name in keyof JobControls]-?: (
    given: never,
    controls: Controls,
  ) => Partial<Controls>;
} = {
  env: (env: EnvAdditions, controls) => ({ env: revise(controls.env, env) }),
  preexec: (given, { context }) => ({ preexec: preexecOf(given, context) }),
  sleep: (given) => ({ gate: gateOf(given) }),
  preload: (given, { preparation }) => ({
    preparation: changePreload(preparation, given),
  }),
  jobsPerProcess: (count, { context }) => ({
    jobsPerProcess: checkJobsPerProcess(count, context),
  }),
  runTimeout: (ms) => ({ runTimeout: runTimeoutOf(ms) }),
  killGrace: (ms) => ({ killGrace: checkMs(ms, 'killGrace') }),
  processGroup: (given, { orphanSignal }) => ({
    processGroup: checkGroup(given, orphanSignal),
  }),
  retries: (count) => ({ retries: checkMost(count, 'retries', 0) }),
  onReport: (given) => ({ onReport: listenerOf(given) }),
  cwd: (path) => ({ cwd: checkDirectory(path) }),
  nice: (level, { settings }) => ({
    settings: { ...settings, nice: checkNice(level) },
  }),
  limits: (given, { settings }) => ({
    settings: { ...settings, limits: mergeLimits(settings?.limits, given) },
  }),
  oomScoreAdj: (score, { settings }) => ({
    settings: { ...settings, oomScoreAdj: checkOomScore(score) },
  }),
  maxHeapMb: (mib, { context, execArgv }) => {
    const maxHeapMb = checkHeap(mib, context);
    return { maxHeapMb, nodeOptions: nodeOptionsOf(execArgv, maxHeapMb) };
  },
  execArgv: (given, { context, maxHeapMb }) => {
    const execArgv = checkExecArgv(given, context);
    return { execArgv, nodeOptions: nodeOptionsOf(execArgv, maxHeapMb) };
  },
  inheritExecArgv: (given, { context }) => ({
    inheritsExecArgv: checkInheritance(given, context),
  }),
  output: (given, controls) => {
    const changed = changeOutput(given, controls);
    const hasOwnOutput = changed.streams.output !== 'inherit';
    return { ...changed, settings: withFlags(controls, { hasOwnOutput }) };
  },
  maxOutput: (bytes, controls) => changeMaxOutput(bytes, controls),
  input: (given, controls) => changeInput(given, controls),
  usage: (given, controls) => {
    const isMeasured = checkBoolean(given, 'usage');
    return { settings: withFlags(controls, { isMeasured }) };
  },
};

function withFlags(
  { settings }: Controls,
  flags: Partial<Record<'hasOwnOutput' | 'isMeasured', boolean>>,
): ProcessSettings | undefined {
  const all = Object.entries({ ...settings, ...flags });
  const own = all.filter(([, value]) => value !== false);
  return own.length > 0 ? Object.fromEntries(own) : undefined;
}

/** `controls` with what the user has given merged in. */
export function merge(controls: Controls, given: JobControls): Controls {
  let merged = controls;
  for (const [name, value] of Object.entries(checkOptions(given, changes))) {
    if (value === undefined) continue;
    const change = changes[name as keyof JobControls];
    merged = { ...merged, ...change(value as never, merged) };
  }
  return merged;
}

function preexecOf(given: unknown, context: Context): Preexec | undefined {
  if (given === null) return undefined;
  const [fn, ...args] = Array.isArray(given) ? (given as unknown[]) : [given];
  return { target: targetOf(fn, context, 'preexec'), args };
}

function gateOf(given: unknown): SleepGate {
  if (given === null) return admitAlways;
  if (typeof given === 'function') return given as SleepGate;
  throw invalidArgument('sleep', 'a function', given);
}

function listenerOf(given: unknown): ReportListener | undefined {
  if (given === null) return undefined;
  if (typeof given === 'function') return given as ReportListener;
  throw invalidArgument('onReport', 'a function', given);
}

function runTimeoutOf(given: unknown): number {
  const ms = checkMs(given, 'runTimeout');
  if (ms === 0) throw outOfRange('runTimeout', 'positive', ms);
  return ms;
}

// Which controls of a handle travel to another machine, and how.
import { existsSync } from 'node:fs';
import { join, sep } from 'node:path';
import { codedError } from '../errors.js';
import type { ExecutorFuture } from '../executor/queued-call.js';
import { type Controls, initialControls } from '../job/controls.js';
import { type JobControls, merge } from '../job/job-controls.js';
import { refused } from './errors.js';
import { realWayInside, wayInside } from './inside.js';

/** Called with what a job has written, and with the promise of its call. */
export type ClusterOutputListener<T> = (
  data: T,
  stream: 'stdout' | 'stderr',
  promise: ExecutorFuture<unknown>,
) => unknown;

/**
 * What {@link ClusterExecutor.with} changes: the {@link JobControls} that have a
 * meaning on another machine. `sleep`, `preexec` and `preload` have none.
 *
 * @example
 * ```js
 * const limited = executor.with({ runTimeout: 60_000, env: { LEVEL: '2' } });
 * ```
 */
export interface ClusterControls extends Omit<
  JobControls,
  'sleep' | 'preexec' | 'preload' | 'onReport' | 'output'
> {
  /**
   * Called in this process with each value that a job gives to {@link report}, in
   * their order, before the promise of the call is settled. null: none. What it
   * throws becomes an uncaught exception.
   */
  onReport?:
    | ((value: unknown, promise: ExecutorFuture<unknown>) => void)
    | null
    | undefined;
  /**
   * As {@link JobControls.output}. 'inherit' is where the host writes; a function, or
   * an object with `lines`, is called in this process.
   */
  output?:
    | 'inherit'
    | 'ignore'
    | 'group'
    | 'capture'
    | ClusterOutputListener<Buffer>
    | { readonly lines: ClusterOutputListener<string> }
    | undefined;
}

/** The controls of a handle of an executor. */
export interface OwnControls {
  readonly onReport: ClusterControls['onReport'];
  readonly listener: ClusterOutputListener<never> | undefined;
  readonly retries: number;
  readonly sent: SentControls;
  /** All of them, as the checks of local handles have them. */
  readonly checked: Controls;
}

/** Plain data. */
export interface SentControls {
  readonly given: Readonly<Record<string, unknown>>;
  readonly env: readonly (readonly [string, string | null])[];
  /** Relative to `root`; undefined: `root`. */
  readonly cwd: string | undefined;
  readonly isHeard: boolean;
  /** What its output listener gets; undefined without one. */
  readonly listens: 'chunks' | 'lines' | undefined;
}

export function initialOwnControls(): OwnControls {
  return {
    onReport: undefined,
    listener: undefined,
    retries: 0,
    sent: {
      given: {},
      env: [],
      cwd: undefined,
      isHeard: false,
      listens: undefined,
    },
    checked: initialControls({ context: 'spawn' }),
  };
}

/** Those that mean nothing there, and why. */
const unsent = [
  ['sleep', 'does not travel to another machine'],
  ['preexec', 'does not travel to another machine'],
  ['preload', 'is an option of hosts: `jobserver worker --preload`'],
] as const;

/** Those that mean the same on each machine. */
const plainNames = [
  'runTimeout',
  'killGrace',
  'processGroup',
  'nice',
  'limits',
  'oomScoreAdj',
  'maxHeapMb',
  'execArgv',
  'inheritExecArgv',
  'maxOutput',
  'input',
  'usage',
  'jobsPerProcess',
] as const;

/** Throws as `Jobserver.with` does, and for a control that cannot travel. */
export function mergeOwn(
  own: OwnControls,
  given: ClusterControls,
  root: string,
): OwnControls {
  for (const [name, why] of unsent) {
    const { [name]: value } = given as JobControls;
    if (value === undefined || value === null) continue;
    throw codedError('ERR_JOBSERVER_CLUSTER', `\`${name}\` ${why}`);
  }
  const checked = merge(own.checked, given as JobControls);
  const { output, input, limits, execArgv } = given;
  const plain = { ...own.sent.given };
  for (const name of plainNames) {
    if (given[name] !== undefined) plain[name] = given[name];
  }
  // The user may change these later, and limits add up.
  if (input !== undefined) plain['input'] = checked.streams.input ?? null;
  if (limits !== undefined) plain['limits'] = checked.settings!.limits;
  if (execArgv !== undefined) plain['execArgv'] = checked.execArgv;
  const isKind = typeof output === 'string';
  const { isByLine, output: kind } = checked.streams;
  if (isKind) plain['output'] = output;
  const listener =
    output === undefined
      ? own.listener
      : (checked.listener as unknown as OwnControls['listener']);
  return {
    onReport: given.onReport === undefined ? own.onReport : given.onReport,
    listener,
    retries: checked.retries,
    checked,
    sent: {
      given: plain,
      env: [...checked.env],
      cwd: given.cwd === undefined ? own.sent.cwd : cwdOf(checked, root),
      isHeard: checked.onReport !== undefined,
      listens: kind === 'listen' ? (isByLine ? 'lines' : 'chunks') : undefined,
    },
  };
}

function cwdOf({ cwd }: Controls, root: string): string | undefined {
  if (cwd === undefined) return undefined;
  const way = wayInside(root, cwd);
  if (way !== undefined) return way.split(sep).join('/');
  throw codedError(
    'ERR_JOBSERVER_CLUSTER',
    `Expected \`cwd\` to be a folder in \`root\` (${root}), because other ` +
      `machines have no ${cwd}`,
  );
}

/**
 * For `Jobserver.with` on a host. Takes only what an executor sends: anybody may have
 * written the parameter, where nothing is signed.
 */
export function hostControls(
  { given, env, cwd }: SentControls,
  root: string,
): JobControls {
  const { output } = given;
  const plain = plainNames
    .filter((name) => given[name] !== undefined)
    .map((name) => [name, given[name]] as const);
  // A job joins by what comes with its order. Its children need no key.
  const own = [['JOBSERVER_KEY', null] as const, ...env];
  return {
    ...(Object.fromEntries(plain) as JobControls),
    ...(typeof output === 'string' && { output: output as 'capture' }),
    env: own,
    cwd: folderOf(cwd, root),
  };
}

function folderOf(cwd: string | undefined, root: string): string {
  if (cwd === undefined) return root;
  const folder = join(root, cwd);
  const ways = [wayInside(root, folder)];
  // The start of the job fails where nothing is there.
  if (existsSync(folder)) ways.push(realWayInside(root, folder));
  if (!ways.includes(undefined)) return folder;
  throw refused(
    `A job is to run in ${cwd}, which is outside of the \`root\` of its host`,
  );
}

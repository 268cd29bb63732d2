// The pool as vitest sees it, and its options.
import { initialControls } from '../job/controls.js';
import { type JobControls, merge } from '../job/job-controls.js';
import { checkSlots } from '../slots/default-count.js';
import {
  type OptionNames,
  checkBoolean,
  checkOptions,
} from '../system/options.js';
import { FileWorker } from './file-worker.js';
import { Hosts, type PoolSettings, ProjectHubs } from './hubs.js';
import { checkPreload } from './preload.js';
import type { PoolRequest, Project } from './project.js';
import { checkInstalled, checkVersion } from './version.js';

const name = 'jobserver';

/**
 * Options of {@link jobserverPool}. The other ones are those of the same names in
 * {@link JobControls}, for the process of each file.
 */
export interface JobserverPoolOptions extends Pick<
  JobControls,
  | 'limits'
  | 'maxHeapMb'
  | 'nice'
  | 'oomScoreAdj'
  | 'processGroup'
  | 'runTimeout'
> {
  /**
   * Modules that many files import and that take long to load: names of packages, paths
   * from the root of the project, or URLs. They are imported once, before the first
   * file. They must be modules that vitest leaves to Node, as those of `node_modules`
   * are. 'auto', in their place or among them, adds those that many files have imported
   * in the last run, unless the files run in jsdom or happy-dom. Default: none.
   */
  preload?: 'auto' | Iterable<string | URL> | undefined;
  /**
   * Whether a file that is made up runs a few times before the first one, so that the
   * code of vitest is compiled in all of them. Default true.
   */
  warmUp?: boolean | undefined;
  /**
   * How many slots the files share with the jobs that tests start themselves by
   * `new Jobserver()`: 1 to 4096. Default: as many as vitest has workers (`maxWorkers`).
   */
  slots?: number | undefined;
}

/**
 * A pool for `test.pool` of vitest, as {@link jobserverPool} makes it.
 */
export interface JobserverPool {
  /** 'jobserver'. */
  readonly name: string;
  /** Called by vitest, for a file, or without isolation for several. */
  createPoolWorker(options: PoolRequest): JobserverPoolWorker;
}

/** What runs a test file: `PoolWorker` of vitest. See {@link jobserverPool}. */
export interface JobserverPoolWorker {
  readonly name: string;
  readonly cacheFs: boolean;
  on(event: string, callback: (value: unknown) => void): void;
  off(event: string, callback: (value: unknown) => void): void;
  send(message: unknown): void;
  deserialize(data: unknown): unknown;
  start(): Promise<void>;
  stop(): Promise<void>;
}

const optionNames: OptionNames<JobserverPoolOptions> = {
  preload: true,
  warmUp: true,
  slots: true,
  limits: true,
  maxHeapMb: true,
  nice: true,
  oomScoreAdj: true,
  processGroup: true,
  runTimeout: true,
};

/**
 * Makes a pool for vitest (4.1 or later) that runs each test file in a process of its
 * own, which is forked from one that has loaded vitest already.
 *
 * @example
 * ```js
 * // vitest.config.js
 * import { defineConfig } from 'vitest/config';
 * import { jobserverPool } from 'jobserver/vitest';
 *
 * export default defineConfig({ test: { pool: jobserverPool() } });
 * ```
 *
 * @throws TypeError or RangeError for an invalid option; Error when vitest cannot be
 * found, or is older than 4.1.
 */
export function jobserverPool(
  options: JobserverPoolOptions = {},
): JobserverPool {
  const settings = checkPoolOptions(options);
  checkInstalled();
  const hosts = new Hosts(settings);
  const projects = new WeakMap<Project, ProjectHubs>();
  return {
    name,
    createPoolWorker(request) {
      checkVersion(request.distPath);
      const { project } = request;
      let hubs = projects.get(project);
      if (hubs === undefined) {
        hubs = new ProjectHubs(project, settings, hosts);
        projects.set(project, hubs);
      }
      return new FileWorker(name, hubs.hubFor(request), request);
    },
  };
}

function checkPoolOptions(options: JobserverPoolOptions): PoolSettings {
  const { preload, warmUp, slots, ...controls } = checkOptions(
    options,
    optionNames,
  );
  // Here, because vitest would say it of each file.
  merge(initialControls({ context: 'spawn', preload: [] }), controls);
  return {
    preload: checkPreload(preload),
    warmUp: warmUp === undefined || checkBoolean(warmUp, 'warmUp'),
    slots: slots === undefined ? undefined : checkSlots(slots),
    controls,
  };
}

// Which hub, and which Jobserver, a test file belongs to.
import * as nodeModule from 'node:module';
import type { JobControls } from '../job/job-controls.js';
import { Host } from './host.js';
import { Hub, hubKeyOf } from './hub.js';
import { Lessons } from './lessons.js';
import { type PreloadList, urlsFor } from './preload.js';
import type { Experiments, PoolRequest, Project } from './project.js';

/** The options of a pool, checked. */
export interface PoolSettings {
  readonly preload: PreloadList;
  readonly warmUp: boolean;
  readonly slots: number | undefined;
  readonly controls: JobControls;
}

/** The Jobservers of a pool: one for forks, and one for what needs a new node. */
export class Hosts {
  readonly forked: Host;
  readonly spawned: Host;

  constructor({ slots }: PoolSettings) {
    this.forked = new Host('forkserver', slots);
    this.spawned = new Host('spawn', slots);
  }

  close(): void {
    this.forked.close();
    this.spawned.close();
  }
}

// Node sets up these when it starts. They profile a process, or debug it. Files have the
// options that vitest gives them, and no others of the node that runs vitest.
const setUpByNode = /^--(cpu-prof|heap-prof|prof|inspect)/;

// Whether Node calls the hooks of modules in the thread that imports them, as it does
// since 22.15. Before, it calls them in a thread of their own.
const hasHooks = 'registerHooks' in nodeModule;

// They have a window, which a module may look for when it is imported.
const withWindow = /dom/;

/** The hubs of a project. */
export class ProjectHubs {
  readonly #settings: PoolSettings;
  readonly #hosts: Hosts;
  readonly #lessons: Lessons | undefined;
  readonly #modules: () => Promise<readonly string[]>;
  readonly #hubs = new Map<string, Hub>();

  constructor(project: Project, settings: PoolSettings, hosts: Hosts) {
    this.#settings = settings;
    this.#hosts = hosts;
    const { modules, isAuto } = settings.preload;
    if (isAuto) this.#lessons = new Lessons(project);
    this.#modules = () => urlsFor(project, modules);
    project.vitest.onClose(() => {
      this.#lessons?.close();
      hosts.close();
    });
  }

  hubFor(request: PoolRequest): Hub {
    const key = hubKeyOf(request);
    let hub = this.#hubs.get(key);
    if (hub === undefined) {
      hub = this.#hubOf(request);
      this.#hubs.set(key, hub);
    }
    return hub;
  }

  #hubOf({ distPath, project, environment, execArgv }: PoolRequest): Hub {
    const { warmUp, controls } = this.#settings;
    const isForked = canFork(project, execArgv);
    const { forked, spawned } = this.#hosts;
    return new Hub(isForked ? forked : spawned, distPath, {
      controls,
      modules: this.#modules,
      lessons: withWindow.test(environment.name) ? undefined : this.#lessons,
      warmUp,
      isForked,
    });
  }
}

let hasSaidSo = false;

function canFork(
  { serializedConfig }: Project,
  execArgv: readonly string[],
): boolean {
  if (process.platform !== 'linux') {
    if (!hasSaidSo) {
      process.emitWarning(
        'Test files are not forked on this platform: each one starts a new node, ' +
          "as with vitest's own pool",
        { type: 'JobserverWarning', code: 'JOBSERVER_VITEST_SPAWN' },
      );
    }
    hasSaidSo = true;
    return false;
  }
  const { inspector, experimental } = serializedConfig as {
    inspector?: { enabled?: boolean };
    experimental?: Experiments;
  };
  if (inspector?.enabled === true) return false;
  // In a fork, the thread of vitest's hooks would wait for V8's threads forever.
  if (experimental?.viteModuleRunner === false && !hasHooks) return false;
  return !execArgv.some((option) => setUpByNode.test(option));
}

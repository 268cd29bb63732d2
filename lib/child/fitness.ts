// Whether a process can be a zygote after it has run code of the user: its forks
// would lack the threads that the code has left, and share the handles. What ends
// soon is waited for.
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { clearInterval, setImmediate, setInterval } from 'node:timers';
import { setTimeout as sleep } from 'node:timers/promises';
import { hasHooksThread } from '../system/builtins.js';
import { selector } from '../system/selector.js';
import { noteWork } from './exit-report.js';

// Time is counted in turns of the event loop, so that code that computes, or a
// process that is stopped, does not reach a limit by that.
const tickMs = 50;

/**
 * Starts all threads of libuv's pool, before threads are counted. They sleep, and
 * a fork starts new ones.
 */
export async function startPool(): Promise<void> {
  await stat(__filename);
}

/**
 * Returns what the code has left that keeps this process from forking, as the end
 * of a sentence; undefined if there is nothing. `before`: taken before the code ran.
 */
export async function whatIsLeft(
  before: Present,
  limitMs: number,
): Promise<string | undefined> {
  if (hasHooksThread()) {
    return (
      'has registered module hooks that run in a thread, which a fork would ' +
      'lack. Use module.registerHooks()'
    );
  }
  const others = takeBeforeExitListeners();
  const rest = await unlessLoopEnds(new Promise(() => undefined), limitMs);
  for (const listener of others) process.on('beforeExit', listener);
  if (rest === 'late') return whyHandles(openHandles());
  // The code may have used channels.
  selector.closeUnused();
  let ms = 0;
  while (hasMoreThan(before) && ms < limitMs) {
    await sleep(tickMs);
    ms += tickMs;
  }
  const handles = openHandles();
  if (newSockets(before.sockets).length > 0) handles.push('socket');
  if (handles.length > 0) return whyHandles(handles);
  const left = newThreads(before.threads);
  return left.length > 0 ? whyThreads(left) : undefined;
}

/**
 * Settles as `work`, unless the event loop becomes empty before that, or has
 * not within `ms`. An error that is thrown in a callback rejects.
 */
export function unlessLoopEnds(
  work: Promise<unknown>,
  ms: number,
): Promise<unknown> {
  let stop: () => void;
  const end = new Promise((resolve, reject) => {
    // What follows must not begin in beforeExit: node exits after it, unless a
    // handle is open, and an import that initializes WebAssembly has none.
    const onEmpty = (): void => {
      setImmediate(resolve, 'empty');
    };
    const onError = (error: unknown): void => {
      // A handler of the user decides what the error means.
      if (process.listenerCount('uncaughtException') === 1) reject(error);
    };
    let passedMs = 0;
    const timer = setInterval(() => {
      passedMs += tickMs;
      if (passedMs >= ms) resolve('late');
    }, tickMs).unref();
    process.on('beforeExit', onEmpty).on('uncaughtException', onError);
    stop = () => {
      clearInterval(timer);
      process.off('beforeExit', onEmpty).off('uncaughtException', onError);
    };
  });
  return Promise.race([work, end]).finally(() => {
    stop();
    noteWork();
  });
}

/** The zygote does not exit, although its loop is empty for a moment. */
function takeBeforeExitListeners(): NodeJS.BeforeExitListener[] {
  const listeners = process.rawListeners('beforeExit');
  process.removeAllListeners('beforeExit');
  return listeners as NodeJS.BeforeExitListener[];
}

/** The kinds of handles and requests, except for those of standard streams. */
function openHandles(): string[] {
  const kinds = process.getActiveResourcesInfo();
  const internals = process as unknown as {
    _getActiveHandles(): { _handle?: { fd?: number } | null }[];
  };
  for (const { _handle } of internals._getActiveHandles()) {
    const fd = _handle?.fd ?? -1;
    if (fd < 0 || fd > 2) continue;
    const { name } = _handle!.constructor;
    const i = kinds.findIndex((kind) => kind.startsWith(name));
    if (i >= 0) kinds.splice(i, 1);
  }
  return kinds;
}

// The event loop does not know the sockets of native addons, nor does it count
// those with `unref()`, such as the pipes to a program.
function sockets(): string[] {
  const links = readdirSync('/proc/self/fd').map(linkOf);
  return links.filter((link) => link.startsWith('socket:'));
}

function newSockets(before: readonly string[]): string[] {
  return sockets().filter((socket) => !before.includes(socket));
}

function linkOf(fd: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return ''; // It was the descriptor of the list itself.
  }
}

function whyHandles(kinds: readonly string[]): string {
  const list = [...new Set(kinds)].join(', ') || 'of a native addon';
  return (
    `has left open handles (${list}), which forks would share. Close them ` +
    'there, or open them in the function of the job'
  );
}

function whyThreads(names: readonly string[]): string {
  const named = [...new Set(names)].filter((name) => name !== '').join(', ');
  return (
    `has left threads running (${names.length}` +
    `${named === '' ? '' : `: ${named}`}), which a fork would lack. Start ` +
    'them in the function of the job'
  );
}

export interface Present {
  readonly threads: readonly string[];
  readonly sockets: readonly string[];
}

export function present(): Present {
  return { threads: threads(), sockets: sockets() };
}

function hasMoreThan(before: Present): boolean {
  return (
    newThreads(before.threads).length > 0 ||
    newSockets(before.sockets).length > 0
  );
}

// Threads of the kernel that work for io_uring, by which libuv waits for descriptors.
// A fork has its own.
const kernelThread = /^iou-(wrk|sqp)-/;

function threads(): string[] {
  return readdirSync('/proc/self/task');
}

/** The names of the threads that were not there before; '' for no name. */
function newThreads(before: readonly string[]): string[] {
  const known = new Set(before);
  const inherited = nameOfThread(String(process.pid));
  return threads()
    .filter((thread) => !known.has(thread))
    .map(nameOfThread)
    .filter((name) => !kernelThread.test(name))
    .map((name) => (name === inherited ? '' : name));
}

function nameOfThread(thread: string): string {
  try {
    return readFileSync(`/proc/self/task/${thread}/comm`, 'utf8').trim();
  } catch {
    return ''; // It has ended meanwhile.
  }
}

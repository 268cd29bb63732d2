// The zygotes of this process: which one serves an order, and how it is started.
import { join } from 'node:path';
import { outOfRange } from '../errors.js';
import { describeFunction } from '../functions/function-ref.js';
import { versionOf } from '../functions/sources.js';
import {
  environmentOfJob,
  environmentToStart,
  startupVariablesOf,
  workingDirectory,
} from '../protocol/environment.js';
import type { Order } from '../protocol/order.js';
import {
  type Preparation,
  modulesOf,
  writePreparation,
} from '../protocol/preparation.js';
import { zygoteFlags } from '../protocol/zygote-flags.js';
import { workerState } from '../protocol/worker-state.js';
import { check, errno, native } from '../system/binding.js';
import { type Fd, duplicate, openSocketPair } from '../system/fd.js';
import { checkReadable } from '../system/readable.js';
import { trace } from '../system/trace.js';
import { startNode } from './spawn.js';
import { Zygote, notMyChild } from './zygote.js';

const entry = join(__dirname, '..', 'child', 'zygote.js');

const zygotes = new Map<string, Zygote>();

// In a job, those of its zygote, which has loaded this module.
const ownVariables = JSON.stringify(
  startupVariablesOf(environmentOfJob(new Map())),
);

const ownOptions = JSON.stringify(process.execArgv);

/** What decides which zygote a job needs. */
export type ZygoteStart = Pick<Order, 'execArgv' | 'preparation' | 'env'>;

/** What a zygote is started for. */
export type ZygoteOrder = ZygoteStart & Pick<Order, 'slotPipes' | 'keepAlive'>;

/** Orders of equal keys share their zygotes. */
export interface ZygoteKeys {
  /** Of the zygote without the warm-up. */
  readonly cold: string;
  /** Of the one with all of the preparation; the same without a warm-up. */
  readonly warm: string;
}

interface KnownKeys extends ZygoteKeys {
  readonly execArgv: readonly string[];
  readonly env: readonly string[];
  readonly spares: string;
}

const knownKeys = new WeakMap<Preparation, KnownKeys>();

/** Made once for many jobs: they share the lists of options and variables. */
export function keysOf({
  execArgv,
  preparation,
  env,
}: ZygoteStart): ZygoteKeys {
  const { JOBSERVER_SPARES: spares = '' } = process.env;
  const known = knownKeys.get(preparation);
  if (
    known?.execArgv === execArgv &&
    known.env === env &&
    known.spares === spares
  ) {
    return known;
  }
  const { preload, warmUp } = preparation;
  const variables = startupVariablesOf(env);
  const cold = JSON.stringify([execArgv, preload.key, variables, spares]);
  const warm =
    warmUp === undefined ? cold : `${cold} ${JSON.stringify(warmUp)}`;
  const keys = { cold, warm, execArgv, env, spares };
  knownKeys.set(preparation, keys);
  return keys;
}

function checkSpares(): void {
  const { JOBSERVER_SPARES: spares = '' } = process.env;
  if (/^\d{0,4}$/.test(spares)) return;
  throw outOfRange('JOBSERVER_SPARES', 'an integer from 0 to 9999', spares);
}

/** Why jobs with this key have to be spawned, if they have to. */
export function obstacleOf(key: string): string | undefined {
  return zygotes.get(key)?.obstacle;
}

/**
 * The zygote that serves an order at present: the warm one, once it is ready. It is
 * started when the other one is.
 */
export function zygoteFor(order: ZygoteOrder, keys: ZygoteKeys): Zygote {
  const { preload, warmUp } = order.preparation;
  if (warmUp === undefined) return open(order, keys.cold, unlearned(order));
  const warm = warmZygoteFor(order, keys);
  if (warm?.isReady === true) {
    warm.serve(order);
    return warm;
  }
  const cold = open(order, keys.cold, { preload, warmUp: undefined });
  if (warm === undefined) warmUpAfter(cold, order, keys);
  return cold;
}

/** In a job, with what its own zygote has learned; others know nothing of that. */
function unlearned(order: ZygoteOrder): Preparation {
  const { preparation } = order;
  const { preload, warmUp } = preparation;
  if (!preload.isAuto) return preparation;
  if (isInherited(order, preparation)) return workerState.ambient!.preparation;
  if (preload.learned === undefined) return preparation;
  return { preload: { ...preload, learned: undefined }, warmUp };
}

/** Undefined when it is yet to be started. */
export function warmZygoteFor(
  order: ZygoteOrder,
  { warm: key }: ZygoteKeys,
): Zygote | undefined {
  const version = versionOf(modulesOf(order.preparation));
  const known = zygotes.get(key);
  if (known === undefined && isInherited(order, order.preparation)) {
    return open(order, key);
  }
  if (known?.version !== version) return undefined;
  return known.isGone && known.failure === undefined ? undefined : known;
}

/** The warm-ups that wait until the zygote without it is ready. */
const planned = new Set<string>();

/** Without the arguments of the job, which may be large. */
export function withoutCall(order: ZygoteOrder): ZygoteOrder {
  const { execArgv, preparation, env, slotPipes, keepAlive } = order;
  return { execArgv, preparation, env, slotPipes, keepAlive };
}

function warmUpAfter(cold: Zygote, order: ZygoteOrder, keys: ZygoteKeys): void {
  if (planned.has(keys.warm)) return;
  planned.add(keys.warm);
  const start = withoutCall(order);
  cold.whenKnown(() => {
    planned.delete(keys.warm);
    const isClosed = start.slotPipes[0]!.reader < 0;
    if (isClosed || !cold.isReady || !makesRoom(keys.warm)) return;
    try {
      startWarmUp(start, keys.warm);
    } catch (error) {
      // The jobs do without it, until another one asks for it.
      trace('no warm-up: %o', error);
    }
  });
}

// Of this thread. Each of them is a process with a heap of its own.
const mostWarm = 4;
const warmKeys = new Set<string>();

/** False when `mostWarm` others are in use. */
function makesRoom(key: string): boolean {
  const others = [...warmKeys]
    .filter((each) => each !== key)
    .map((each) => zygotes.get(each))
    .filter((each) => each?.isGone === false);
  if (others.length >= mostWarm) {
    const idle = others.find((each) => each?.isIdle);
    if (idle === undefined) return false;
    idle.release();
  }
  warmKeys.add(key);
  return true;
}

function startWarmUp(order: ZygoteOrder, key: string): void {
  const zygote = open(order, key);
  zygote.whenKnown(() => {
    const { failure } = zygote;
    // In a job, too: no other process knows of the zygotes that it starts.
    if (failure === undefined) return;
    const name = describeFunction(order.preparation.warmUp!.fn);
    process.emitWarning(
      `The warm-up by ${name} has failed: ${failure.message}. Jobs are forked ` +
        'from a process without it',
      { type: 'JobserverWarning', code: 'JOBSERVER_WARM_UP' },
    );
  });
}

/** A zygote that is known, or else that of this job, or else a new one. */
export function open(
  order: ZygoteOrder,
  key: string,
  preparation = order.preparation,
): Zygote {
  const known = zygotes.get(key);
  const version = versionOf(modulesOf(preparation));
  // Its forks have what was loaded before the change.
  if (known?.version !== version) known?.abandon();
  if (known?.isGone === false) {
    known.serve(order);
    return known;
  }
  // A copy of the package in another folder may have another version.
  const link = hold(`${entry} ${version} ${key}`, () =>
    known === undefined && isInherited(order, preparation)
      ? inherited()
      : start(order, preparation),
  );
  const zygote = new Zygote(link, version, known);
  zygotes.set(key, zygote);
  zygote.serve(order);
  return zygote;
}

/** The socket and pid of a zygote that other threads and copies may find. */
function hold(
  key: string,
  open: () => [socket: Fd, pid: number],
): readonly [number, number] {
  const link = new Int32Array(2);
  const result = native.holdZygote(key, link);
  if (result === -errno.ENOENT) {
    const [socket, pid] = open();
    link.set([socket.disown(), pid]);
    check(native.shareZygote(key, link), 'share the forkserver');
  } else {
    check(result, 'find the forkserver');
  }
  return [link[0]!, link[1]!];
}

/** Whether a zygote has forked this process that serves the order as a new one would. */
function isInherited(
  { env, execArgv }: ZygoteStart,
  preparation: Preparation,
): boolean {
  const { ambient, preparedVersion } = workerState;
  if (ambient === undefined || ambient.forkserverFd < 0) return false;
  const { preload, warmUp } = ambient.preparation;
  return (
    preload.key === preparation.preload.key &&
    JSON.stringify(warmUp) === JSON.stringify(preparation.warmUp) &&
    // The job may come from the zygote without the warm-up.
    [modulesOf(ambient.preparation), preload.urls].some(
      (urls) => versionOf(urls) === preparedVersion,
    ) &&
    JSON.stringify(startupVariablesOf(env)) === ownVariables &&
    JSON.stringify(execArgv) === ownOptions
  );
}

function inherited(): [socket: Fd, pid: number] {
  // A duplicate, because several keys may share the connection of the job.
  return [duplicate(workerState.ambient!.forkserverFd), notMyChild];
}

function start(
  { execArgv, env }: ZygoteOrder,
  preparation: Preparation,
): [socket: Fd, pid: number] {
  checkSpares();
  checkReadable(entry);
  const { reader: client, writer: server } = openSocketPair(
    'the forkserver socket',
    true,
  );
  let file: Fd | undefined;
  try {
    // Before the first request, because each one needs its sender.
    check(native.passCredentials(server.number), 'identify submitters');
    file = writePreparation(preparation);
    const argv = [...execArgv, ...zygoteFlags(preparation), entry];
    // Not in that of the job, which it would keep in use.
    const cwd = workingDirectory();
    const surroundings = { env: environmentToStart(env), cwd };
    // They become `zygoteRequestFd` and `zygotePreparationFd`.
    const fds = [1, 2, server.number, file.number];
    // The end of the group of a job must not end the zygote, which reports how jobs end.
    const leadsGroup = workerState.ambient?.leadsGroup === true;
    return [client, startNode(argv, surroundings, fds, { leadsGroup })];
  } catch (error) {
    client.close();
    throw error;
  } finally {
    file?.close();
    server.close();
  }
}

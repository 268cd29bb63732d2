// Entry of the forkserver: loads what jobs will need, runs a job of no effect
// so that everything is compiled, and forks itself from then on. What a fork
// must not share with its siblings is renewed in the spare, before it is used.
import { openSync, readdirSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { devNull } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { inspect } from 'node:util';
import { native, pollEvents } from '../system/binding.js';
import { environmentOfJob } from '../protocol/environment.js';
import { codedError } from '../errors.js';
import { writeFrame } from '../protocol/frame.js';
import { importModule } from '../functions/function-ref.js';
import { fingerprint } from '../functions/exports.js';
import {
  type PackedSurroundings,
  packBody,
  packEnv,
  packSurroundings,
  unpackEnv,
} from '../protocol/order.js';
import { readOrder, writeOrder } from '../protocol/order-file.js';
import { encode, encodeThrown } from '../wire/value.js';
import { workerState } from '../protocol/worker-state.js';
import { noteOutput, writeLastWords } from './output.js';
import {
  changeEnvironment,
  exitNow,
  leaveThroughKernel,
  setPid,
} from './after-fork.js';
import { forgetSeed, replaceMathRandom } from './random.js';
import { dieOfEachSignal, inheritedSlots, reportEndings, run } from './run.js';

const requestFd = 3;
// Kinds of native/fork.h.
const ended = 2;
const declined = 4;
// Forked ahead, off the way of the jobs that take them.
const spares = Number(process.env['JOBSERVER_SPARES'] ?? 2);

// Enough for V8 to compile what it runs often as far as it ever will, since what
// it compiles in a job is lost.
const exercises = 30;

const preload = process.argv.slice(2);
const environment = new Map(Object.entries(process.env));
const packedEnvironment = packEnv(environmentOfJob(new Map()));
const nowhere = openSync(devNull, 'w');

void main();

async function main(): Promise<void> {
  process.title = 'jobserver-zygote';
  native.setCloseOnExec(requestFd, true);
  hideOwnFlags();
  noteOutput();
  replaceMathRandom();
  workerState.isWorker = true;
  if (hasHooksThread()) {
    answerAll(() => declined);
    return;
  }
  try {
    await load();
  } catch (error) {
    const bytes = encodeThrown(error);
    answerAll((resultFd) => {
      // A small frame always fits into an empty pipe.
      writeFrame(resultFd, 'error', bytes);
      return ended;
    });
    return;
  }
  reportEndings(true);
  const order = await writeEmptyOrder();
  becomeSpare();
  for (let i = 0; i < exercises; i++) await exercise(order);
  // It has passed for a job.
  process.title = 'jobserver-zygote';
  // Shows what memory a job touches; the others copy it at once.
  const scout = (): void => {
    becomeSpare();
    void exercise(order);
  };
  const spare = (): void => {
    becomeSpare();
    native.close(order);
    native.close(nowhere);
  };
  native.serveForks(requestFd, spares, scout, spare, becomeJob, idle, end);
}

// The programs that a job starts are to be threaded as usual.
function hideOwnFlags(): void {
  const own = /^--(single-threaded|v8-pool-size=1|use-largepages=silent)$/;
  process.execArgv = process.execArgv.filter((flag) => !own.test(flag));
}

// A module that a fork imports would wait for that thread for ever.
function hasHooksThread(): boolean {
  return isLoaded('internal/modules/esm/hooks');
}

async function load(): Promise<void> {
  // All of libuv's pool start at once. They sleep, and a fork makes new ones.
  await stat(devNull);
  const threadsBefore = countThreads();
  workerState.isImporting = true;
  for (const url of preload) await importModule(url);
  workerState.isImporting = false;
  // Most jobs that submit jobs themselves would load it.
  require('../jobserver.js');
  if (countThreads() > threadsBefore || hasHooksThread()) {
    throw refusal('threads running, which no fork would have');
  }
  // The end of an import is still on its way while this runs.
  await new Promise((resolve) => setImmediate(resolve));
  const open = process
    .getActiveResourcesInfo()
    .filter((kind) => kind !== 'TTYWrap' && kind !== 'PipeWrap');
  if (open.length === 0) return;
  throw refusal(`open handles (${open.join(', ')}), which forks would share`);
}

function countThreads(): number {
  return readdirSync('/proc/self/task').length;
}

function refusal(what: string): Error {
  return codedError(
    'ERR_JOBSERVER_PRELOAD',
    `The modules to preload (${preload.join(', ')}) have left ${what}`,
  );
}

/** Starts none of the jobs asked for, until nobody asks any more. */
function answerAll(answer: (resultFd: number) => number): void {
  const request = new Uint8Array(4);
  const fds = new Int32Array(128);
  for (;;) {
    native.poll(Int32Array.of(requestFd, pollEvents.in), 1, -1);
    const length = native.receiveFds(requestFd, request, fds);
    if (length === 0) process.exit();
    if (length < 0) continue;
    const [report, , , , result] = fds;
    const message = new Uint8Array(Int32Array.of(answer(result!), 0, 0).buffer);
    native.sendFds(report!, message, new Int32Array(0));
    for (const fd of fds) if (fd >= 0) native.close(fd);
  }
}

/** Its function has the name that a submitter gives one of an ES module. */
async function writeEmptyOrder(): Promise<number> {
  const url = pathToFileURL(join(__dirname, 'warm-up-job.mjs')).href;
  const { nothing } = (await importModule(url)) as { nothing: Function };
  const at = { line: 1, column: 0, isRewritten: false };
  const print = fingerprint(nothing);
  const head = {
    fn: { kind: 'place', url, load: 'import', name: 'nothing', print, ...at },
    isMapped: false,
    preexec: undefined,
    imports: [],
    slots: [1],
    context: 'forkserver',
    preload,
    orphanSignal: 0,
  } as const;
  const args = encode([3, { four: 4 }, 'five'], 'args');
  const preexecArgs = new Uint8Array(0);
  const parts = packBody({ head, args, preexecArgs });
  const surroundings = packSurroundings({
    cwd: process.cwd(),
    env: environmentOfJob(new Map()),
  });
  return writeOrder(-1, [...parts, surroundings]).number;
}

/** A whole job but for its end: what it runs is compiled, and its pages are known to a scout. */
async function exercise(order: number): Promise<void> {
  await new Promise<unknown>((resolve) => {
    becomeJob([native.dup(order), nowhere, requestFd, -1, -1], resolve);
  });
  workerState.ambient = undefined;
}

/** Not on the way of any job: the spare waits for one when this is done. */
function becomeSpare(): void {
  setPid();
  process.title = 'jobserver-worker';
  leaveThroughKernel();
  dieOfEachSignal();
  native.trustOrphanTeller(process.ppid);
  renewRandomness();
}

// A fork has its sibling's generators, and what they have drawn ahead.
function renewRandomness(): void {
  forgetSeed();
  if (!isLoaded('internal/crypto/random')) return;
  const { randomInt, randomUUID } = require('node:crypto') as Crypto;
  // As many as its caches hold: what they refill with is this process's own.
  for (let i = 0; i < cachedUuids; i++) randomUUID();
  for (let i = 0; i < cachedInts; i++) randomInt(2);
}

type Crypto = typeof import('node:crypto');

// lib/internal/crypto/random.js of Node: kBatchSize, and randomCache with six
// bytes for each integer.
const cachedUuids = 128;
const cachedInts = 1024;

function isLoaded(builtin: string): boolean {
  const { moduleLoadList } = process as unknown as { moduleLoadList: string[] };
  return moduleLoadList.includes(`NativeModule ${builtin}`);
}

function becomeJob(
  fds: readonly number[],
  exit: (code: number) => void = exitNow,
): void {
  try {
    beginJob(fds, exit);
  } catch (error) {
    // Its signals are still blocked: nobody else could end it.
    writeLastWords(`A job could not begin: ${inspect(error)}\n`);
    native.exitNow(1);
  }
}

function beginJob(fds: readonly number[], exit: (code: number) => void): void {
  const [orderFd, resultFd, forkserverFd, ...slotFds] = fds as [
    number,
    number,
    number,
    ...number[],
  ];
  const { token, body, surroundings } = readOrder(orderFd);
  void run({
    body,
    token,
    resultFd,
    slotPipes: inheritedSlots(body.head, slotFds),
    forkserverFd,
    enter: () => {
      enter(surroundings!);
    },
    exit,
  });
}

function enter({ cwd, env }: PackedSurroundings): void {
  if (cwd !== process.cwd()) process.chdir(cwd);
  if (env.equals(packedEnvironment)) return;
  changeEnvironment(environment, unpackEnv(env));
}

function idle(): void {
  process.emit('beforeExit', Number(process.exitCode ?? 0));
}

function end(): void {
  process.exit();
}

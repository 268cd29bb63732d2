// Entry of the forkserver: loads the modules that jobs will need, exercises what a
// job runs so that V8 compiles it, then forks itself for each request. Before a spare takes a job, it renews what siblings must not share.
import { constants } from 'node:fs';
import { devNull } from 'node:os';
import { inspect } from 'node:util';
import { versionOf } from '../functions/sources.js';
import { environmentOfJob, workingDirectory } from '../protocol/environment.js';
import {
  childSteps,
  mostPassedFds,
  reportKinds,
  requestFds,
  requestInts,
  unpackInherited,
  unpackJobFds,
  mostStateBytes,
  zygotePreparationFd,
  zygoteRequestFd,
  zygoteStates,
} from '../protocol/fds.js';
import { forkSteps } from '../protocol/fork-callbacks.js';
import { modulesOf, readPreparation } from '../protocol/preparation.js';
import { writeFrame } from '../protocol/frame.js';
import { hasJob } from '../protocol/order.js';
import { readOrder } from '../protocol/order-file.js';
import {
  type PackedSurroundings,
  packEnv,
  unpackEnv,
} from '../protocol/surroundings.js';
import { workerState } from '../protocol/worker-state.js';
import { zygoteFlags } from '../protocol/zygote-flags.js';
import { check, errno, native, pollEvents } from '../system/binding.js';
import { trace } from '../system/trace.js';
import { noFds } from '../system/fd.js';
import {
  type ObstacleToForks,
  obstacleToForks,
  obstaclesToForks,
  threadStaysBusy,
} from '../system/forkable.js';
import { encodeThrown } from '../wire/value.js';
import {
  changeDirectory,
  changeEnvironment,
  exitNow,
  exitWithoutThreads,
  restartUptime,
  setPid,
} from './after-fork.js';
import { writeExercise } from './exercise-order.js';
import {
  exitAsNode,
  exitCode,
  reportEndings,
  resetInspectorSignal,
} from './exit-report.js';
import { noteOutput, renewStreams, writeLastWords } from './output.js';
import { collectFully, emptyYoung } from './heap.js';
import { preloadLearned, preloadModules } from './preload.js';
import { random, renewRandomness, replaceMathRandom } from './random.js';
import { run } from './run.js';
import { serve } from './serve.js';
import { optimizeLater } from './tier-up.js';
import { replaceInContexts } from './vm-random.js';
import { WarmingUp } from './warm-up.js';

// Processes that are forked before a job needs them.
const spares = Number(process.env['JOBSERVER_SPARES'] || 2);

// Enough for V8 to optimize what a job runs: code that it compiles in a job is
// lost with the job.
const exercises = 30;
let exercised = 0;
/** The file of the order of the exercise. */
let order = -1;

const preparation = readPreparation(zygotePreparationFd);
const { preload, warmUp } = preparation;
const warmingUp = warmUp && new WarmingUp(warmUp);
// Then another zygote serves until this one is ready.
const isLate = warmUp !== undefined || preload.learned !== undefined;
/** While this imports modules that jobs have used: the index of the present one. */
let learning = -1;
const environment = new Map(Object.entries(process.env));
const packedEnvironment = packEnv(environmentOfJob(new Map()));
const sink = check(native.open(devNull, constants.O_WRONLY), `open ${devNull}`);

void main();

async function main(): Promise<void> {
  process.title = 'jobserver-zygote';
  native.setCloseOnExec(zygoteRequestFd, true);
  hideOwnFlags();
  noteOutput();
  workerState.isWorker = true;
  native.packHeap();
  // Before the modules of preload, which may wrap the same functions.
  exitWithoutThreads();
  restartUptime();
  reportEndings();
  const obstacle = obstacleToForks();
  if (obstacle !== undefined) {
    declineAll(obstacle);
    return;
  }
  replaceMathRandom();
  replaceInContexts(random);
  try {
    await prepare();
  } catch (error) {
    const bytes = encodeThrown(error);
    refuseAll(zygoteStates.failed, failureOf(error), (resultFd) => {
      // Does not block: a small frame fits into an empty pipe.
      writeFrame(resultFd, 'error', bytes);
      return [reportKinds.ended, 0];
    });
    return;
  }
  // The scout shows which memory a job touches; other children copy it in bulk.
  const scout = (): void => {
    becomeSpare();
    void exercise().then(() => warmingUp?.onceMore());
  };
  const spare = (): void => {
    becomeSpare();
    if (order >= 0) native.close(order);
    native.close(sink);
  };
  native.serveForks(zygoteRequestFd, spares, !isLate, (step, fds) => {
    if (step === childSteps.mayPrepare) void prepareMore();
    else if (step === childSteps.scoutBegins) scout();
    else if (step === childSteps.spareBegins) spare();
    else if (step === childSteps.jobBegins) becomeJob(fds!);
    else if (step === childSteps.loopIsEmpty) idle();
    else if (step === childSteps.jobEnds) exitAsNode();
    else declineAll(threadStaysBusy);
  });
}

// A node that a job starts must not inherit the flags of the zygote.
function hideOwnFlags(): void {
  const own = zygoteFlags(preparation);
  process.execArgv = process.execArgv.filter((flag) => !own.includes(flag));
}

/** What jobs need before they begin, and all of the warm-up. */
async function prepare(): Promise<void> {
  // No job is requested before this zygote is ready.
  if (isLate) native.endWithPeer(zygoteRequestFd, true);
  await load();
  await warmingUp?.untilSteady();
  // What has been loaded, and run, has left garbage, which costs each fork time.
  if (isLate || preload.urls.length > 0) collectFully();
  if (!isLate) return;
  while (exercised < exercises) await exerciseOnce();
  if (warmingUp !== undefined) {
    await warmingUp.again();
    emptyYoung();
    workerState.isWarm = true;
  }
  optimizeLater(workerState.isWarm);
  native.endWithPeer(zygoteRequestFd, false);
}

/** What makes jobs faster. The first ones do not wait for it. */
async function prepareMore(): Promise<void> {
  try {
    await exerciseOnce();
  } catch (error) {
    trace('no exercise: %o', error);
    exercised = exercises;
  }
  if (exercised === exercises) optimizeLater(false);
  native.resumeForks(exercised < exercises);
}

async function exerciseOnce(): Promise<void> {
  if (order < 0) {
    // Loaded here for all jobs that submit jobs, or have settings.
    require('../jobserver.js');
    require('./settings.js');
    order = await writeExercise();
    return;
  }
  becomeSpare();
  await exercise();
  exercised += 1;
  // becomeSpare has set a worker's title.
  process.title = 'jobserver-zygote';
}

async function load(): Promise<void> {
  // First, so that a change after it is seen.
  workerState.preparedVersion = versionOf(modulesOf(preparation));
  await preloadModules(preload.packed);
  if (preload.learned === undefined) return;
  await preloadLearned(preload.learned, (i) => {
    learning = i;
  });
}

/** Lets the job of each request be spawned until no client is left. */
function declineAll(obstacle: ObstacleToForks): void {
  const index = obstaclesToForks.indexOf(obstacle);
  const reason = new Uint8Array(Int32Array.of(index).buffer);
  refuseAll(zygoteStates.unfit, reason, () => [reportKinds.declined, index]);
}

/** As bytes, although a thrown text would travel as one; see launch/zygote.ts. */
function failureOf(error: unknown): Uint8Array {
  const bytes = encodeThrown([error, learning]) as Uint8Array;
  if (bytes.length <= mostStateBytes) return bytes;
  const text = inspect(error).slice(0, 1000);
  return encodeThrown([new Error(text), learning]) as Uint8Array;
}

/**
 * Says why this zygote cannot serve, and refuses each request until no client is
 * left. A late zygote gets no requests before it is ready, so it ends.
 */
function refuseAll(
  state: number,
  reason: Uint8Array,
  answer: (resultFd: number) => [number, number],
): void {
  native.endWithPeer(zygoteRequestFd, false);
  const head = new Uint8Array(Int32Array.of(state).buffer);
  const failure = Buffer.concat([head, reason]);
  // Does not block: nothing was sent before.
  native.sendFds(zygoteRequestFd, failure, noFds);
  if (isLate) native.exitNow(1);
  const request = new Uint8Array(4 * requestInts);
  const fds = new Int32Array(mostPassedFds);
  for (;;) {
    native.poll(Int32Array.of(zygoteRequestFd, pollEvents.in), 1, -1);
    const length = native.receiveFds(zygoteRequestFd, request, fds);
    if (length === -errno.EAGAIN) continue;
    if (length <= 0) exitAsNode();
    const [kind, value] = answer(fds[requestFds.result]!);
    const message = new Uint8Array(Int32Array.of(kind, value, 0).buffer);
    native.sendFds(fds[requestFds.report]!, message, noFds);
    for (const fd of fds) if (fd >= 0) native.close(fd);
  }
}

/** Runs a whole job except for its exit. */
async function exercise(): Promise<void> {
  await new Promise<unknown>((resolve) => {
    const slots = [-1, -1];
    becomeJob([native.dup(order), sink, zygoteRequestFd, ...slots], resolve);
  });
  workerState.ambient = undefined;
}

/** Runs before the wait for a job, so it delays none. */
function becomeSpare(): void {
  setPid();
  process.title = 'jobserver-worker';
  resetInspectorSignal();
  native.setOrphanSignaler(process.ppid);
  renewRandomness();
}

function becomeJob(
  fds: readonly number[],
  exit: (code: number) => void = exitNow,
): void {
  try {
    beginJob(fds, exit);
  } catch (error) {
    // Signals are still blocked here, so nothing else would end the process.
    writeLastWords(`A job could not begin: ${inspect(error)}\n`);
    native.exitNow(1);
  }
}

function beginJob(fds: readonly number[], exit: (code: number) => void): void {
  restartUptime();
  const { order, result, zygote, inherited } = unpackJobFds(fds);
  const { token, body, enclosureCount, surroundings } = readOrder(order);
  const isExercise = exit !== exitNow;
  if (body.head.settings?.hasOwnOutput === true) renewStreams();
  const common = {
    token,
    preload,
    prepare: isExercise ? undefined : forkSteps(),
    resultFd: result,
    ...unpackInherited(body.head, enclosureCount, inherited),
    forkserverFd: zygote,
    exit,
  };
  if (!hasJob(body)) {
    serve({ ...common, body });
    return;
  }
  void run({
    ...common,
    body,
    enter: () => {
      enter(surroundings!);
    },
  });
}

function enter({ submitter, cwd, env }: PackedSurroundings): void {
  if (cwd !== workingDirectory()) changeDirectory(cwd, submitter);
  if (env.equals(packedEnvironment)) return;
  changeEnvironment(environment, unpackEnv(env));
}

function idle(): void {
  process.emit('beforeExit', exitCode());
}

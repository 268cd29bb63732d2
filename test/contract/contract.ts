import type { Context } from '../../dist/context.js';
import * as blockingJobs from '../fixtures/blocking-nesting-jobs.js';
import * as waitingJobs from '../fixtures/nesting-jobs.js';
import { hasEventLoop, isWhole } from '../helpers/context.js';
import { checkSlots, openAllWith, warmUp } from '../helpers/jobserver.js';
import { checkLeaks } from '../helpers/leaks.js';
import { timeoutFactor } from '../helpers/until.js';
import { callbackContract } from './callbacks.js';
import { channelContract } from './channels.js';
import { controlFaultContract } from './control-faults.js';
import { constructionContract } from './construction.js';
import { deathContract } from './death.js';
import { environmentContract } from './environment.js';
import { escrowContract } from './escrows.js';
import { executorContract } from './executor.js';
import { executorAheadContract } from './executor-ahead.js';
import { executorEndContract } from './executor-end.js';
import { executorMapContract } from './executor-map.js';
import { executorObservationContract } from './executor-observation.js';
import { executorSlotContract } from './executor-slots.js';
import { exportContract } from './exports.js';
import { futureContract } from './futures.js';
import { jobSignalContract } from './job-signal.js';
import { lendingContract } from './lending.js';
import { lifeContract } from './life.js';
import { lifeEndContract } from './life-end.js';
import { lifeProcessContract } from './life-process.js';
import { mapContract } from './map.js';
import { mapChunkContract } from './map-chunks.js';
import { mapEndContract } from './map-end.js';
import { mapInputContract } from './map-input.js';
import { mapResultContract } from './map-results.js';
import { mapReuseContract } from './map-reuse.js';
import { movingContract } from './moving.js';
import { forkedMovingContract } from './moving-forked.js';
import { nestingContract } from './nesting.js';
import { optionNameContract } from './option-names.js';
import { orphanContract } from './orphans.js';
import { preexecContract } from './preexec.js';
import { preloadContract } from './preload.js';
import { processGroupContract } from './process-groups.js';
import { raisingContract } from './raising.js';
import { raisingCloseContract } from './raising-close.js';
import { recoveryContract } from './recovery.js';
import { reportContract } from './reports.js';
import { resizeContract } from './resize.js';
import { resultContract } from './results.js';
import { retryContract } from './retries.js';
import { reuseContract } from './reuse.js';
import { aheadContract } from './reuse-ahead.js';
import { hostileContract } from './reuse-hostile.js';
import { idleContract } from './reuse-idle.js';
import { reuseSettingsContract } from './reuse-settings.js';
import { reuseStreamContract } from './reuse-streams.js';
import { reusedValueContract } from './reuse-values.js';
import { stalenessContract } from './reuse-staleness.js';
import { sleepGateContract } from './sleep-gate.js';
import { settingsContract } from './settings.js';
import { slotNumberContract } from './slot-numbers.js';
import { slotContract } from './slots.js';
import { slotTimeoutContract } from './slot-timeouts.js';
import { sharingContract } from './sharing.js';
import { stateContract } from './states.js';
import { streamContract } from './streams.js';
import { submitArgumentContract } from './submit-arguments.js';
import { terminalContract } from './terminal.js';
import { terminalKeyContract } from './terminal-keys.js';
import { timeLimitContract } from './time-limits.js';
import { threadContract } from './threads.js';
import { usageContract } from './usage.js';
import { valueLeakContract } from './value-leaks.js';
import { valueContract } from './values.js';
import { waitingContract } from './waiting.js';

type Contract = (context: Context) => void;

type Contracts = Record<string, readonly Contract[]>;

/** The tests of jobs and their futures, by the title of their block. */
const ofProcesses: Contracts = {
  results: [resultContract],
  death: [deathContract],
  slots: [slotContract],
  'release of slots': [recoveryContract, orphanContract, escrowContract],
  waiting: [waitingContract],
  'limits of time': [timeLimitContract],
  'signal of a job': [jobSignalContract],
  'process groups': [processGroupContract],
  reports: [reportContract],
  'numbers of jobs': [slotNumberContract],
  channels: [channelContract],
  'settings of the process of a job': [settingsContract],
  'streams of a job': [streamContract],
  'ends of jobs with controls': [controlFaultContract],
  'usage of a job': [usageContract],
  'modules of preload': [preloadContract],
  'loans of slots': [lendingContract],
};

/** Of these, only the library decides, and nothing that starts a process. */
const ofLibrary: Contracts = {
  construction: [constructionContract],
  'submit arguments': [submitArgumentContract],
  'names of options': [optionNameContract],
  'waits for slots': [slotTimeoutContract],
  'number of slots': [resizeContract],
  'jobs that are started again': [retryContract],
  'sleep gate': [sleepGateContract],
  futures: [futureContract],
  states: [stateContract],
  callbacks: [callbackContract],
  'callbacks that throw': [raisingContract, raisingCloseContract],
};

const ofJobs: Contracts = { ...ofProcesses, ...ofLibrary };

const ofExecutors: Contracts = {
  executor: [
    executorContract,
    executorEndContract,
    executorMapContract,
    executorObservationContract,
    executorSlotContract,
  ],
};

const ofResults: Contracts = {
  'results of map': [mapResultContract],
};

const ofMaps: Contracts = {
  map: [mapContract, mapChunkContract, mapInputContract, mapEndContract],
  ...ofResults,
};

const ofHandles: Contracts = {
  'life of a handle': [lifeContract, lifeProcessContract, lifeEndContract],
  reviseEnv: [environmentContract],
  replacePreexec: [preexecContract],
  terminal: [terminalContract, terminalKeyContract],
};

const ofReuse: Contracts = {
  'processes of several jobs': [reuseContract, idleContract],
  'map in processes of several jobs': [mapReuseContract],
  'jobs that are sent ahead': [aheadContract],
  'calls of an executor that are sent ahead': [executorAheadContract],
  'hostile jobs': [hostileContract],
  'processes that are out of date': [stalenessContract],
  'settings of processes': [reuseSettingsContract],
  'output of processes': [reuseStreamContract],
};

const ofValues: Contracts = {
  values: [valueContract],
  'move and allocate': [movingContract, forkedMovingContract],
  share: [sharingContract],
  'memory of values': [valueLeakContract],
};

const ofReusedValues: Contracts = {
  'values of processes of several jobs': [reusedValueContract],
};

/** The guarantees about large values, for one context. */
export function valuesContract(context: Context): void {
  contract(context, ofValues);
}

/** The same, where processes run several jobs. */
export function reusedValuesContract(context: Context): void {
  openAllWith({ jobsPerProcess: Infinity });
  const repeated = isWhole(context) ? ofValues : {};
  contract(context, { ...repeated, ...ofReusedValues });
}

/** The guarantees about jobs, for one context. */
export function jobContract(context: Context): void {
  contract(context, isWhole(context) ? ofJobs : ofProcesses);
}

/** The same, where processes run several jobs, and what is promised there. */
export function reusedJobContract(context: Context): void {
  openAllWith({ jobsPerProcess: Infinity });
  contract(context, { ...ofJobs, ...ofExecutors, ...ofResults, ...ofReuse });
}

/** The same for pools of jobs. */
export function reusedPoolContract(context: Context): void {
  openAllWith({ jobsPerProcess: Infinity });
  contract(context, { ...ofMaps, ...ofExecutors, ...ofReuse });
}

/** The guarantees about pools of jobs, for one context. */
export function poolContract(context: Context): void {
  const repeated = isWhole(context) ? { ...ofMaps, ...ofExecutors } : {};
  // Its jobs have the memory of the caller, with the input of the map.
  const local = context === 'fork' ? ofMaps : {};
  contract(context, { ...ofHandles, ...local, ...repeated }, () => {
    // The fork context is not possible in a worker thread, and needs no export.
    if (context !== 'fork') {
      describe('worker threads', () => threadContract(context));
      describe('exports', () => exportContract(context));
    }
    if (hasEventLoop(context)) {
      describe('nesting', () => nestingContract(context, waitingJobs));
    }
    describe('blocking nesting', () => nestingContract(context, blockingJobs));
  });
}

// Several files per context, because jest runs files side by side.
function contract(
  context: Context,
  contracts: Contracts,
  addOthers?: () => void,
): void {
  jest.setTimeout(30_000 * timeoutFactor);
  describe(`context ${context}`, () => {
    // Comes first, so that every Jobserver is closed before the leak check.
    checkSlots();
    checkLeaks(warmUp(context));

    for (const [title, parts] of Object.entries(contracts)) {
      describe(title, () => {
        for (const part of parts) part(context);
      });
    }
    addOthers?.();
  });
}

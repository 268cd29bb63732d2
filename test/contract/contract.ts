import type { Context } from '../../dist/context.js';
import { Jobserver } from '../../dist/index.js';
import * as blockingJobs from '../fixtures/blocking-nesting-jobs.js';
import { identity } from '../fixtures/jobs.js';
import * as waitingJobs from '../fixtures/nesting-jobs.js';
import { hasEventLoop } from '../helpers/context.js';
import { checkSlots } from '../helpers/jobserver.js';
import { checkLeaks } from '../helpers/leaks.js';
import { deathContract } from './death.js';
import { executorContract } from './executor.js';
import { lifeContract } from './life.js';
import { mapContract } from './map.js';
import { nestingContract } from './nesting.js';
import { resultContract } from './results.js';
import { slotContract } from './slots.js';
import { terminalContract } from './terminal.js';
import { waitingContract } from './waiting.js';

/** All guarantees about jobs, for one context. */
export function contract(context: Context): void {
  describe(`context ${context}`, () => {
    // Comes first, so that every Jobserver is closed before the leak check.
    checkSlots();
    checkLeaks(async () => {
      const js = new Jobserver({ context, slots: 1 });
      await js.run(identity, 1);
      await js.close();
    });

    describe('results', () => resultContract(context));
    describe('death', () => deathContract(context));
    describe('slots', () => slotContract(context));
    describe('futures', () => waitingContract(context));
    describe('map', () => mapContract(context));
    if (hasEventLoop(context)) {
      describe('nesting', () => nestingContract(context, waitingJobs));
    }
    describe('blocking nesting', () => nestingContract(context, blockingJobs));
    describe('life of a handle', () => lifeContract(context));
    describe('in a terminal', () => terminalContract(context));
    describe('executor', () => executorContract(context));
  });
}

import type { Context } from '../../dist/context.js';
import { Jobserver, type JobserverOptions } from '../../dist/index.js';
import { type Controls, initialControls } from '../../dist/job/controls.js';
import { Pool } from '../../dist/job/pool.js';
import { SlotPipe } from '../../dist/slots/slot-pipe.js';
import { selector } from '../../dist/system/selector.js';
import { identity } from '../fixtures/jobs.js';
import { until } from './until.js';

/** Counts the tokens in the pipe by taking all and giving them back. */
function countFree(slots: SlotPipe): number {
  const tokens = [];
  for (let token; (token = slots.tryTake()) !== undefined;) {
    tokens.push(token);
  }
  for (const token of tokens) token.give();
  return tokens.length;
}

const opened: { js: Jobserver; slots: SlotPipe }[] = [];

// The public declarations lack the constructor of derived handles.
const Derived = Jobserver as unknown as new (
  pool: Pool,
  controls: Controls,
) => Jobserver;

let defaults: JobserverOptions = {};

/** Adds options to each `openJobserver` of this test file. */
export function openAllWith(options: JobserverOptions): void {
  defaults = options;
}

/** `test`, unless processes run several jobs by default. */
export function ofOwnProcess(name: string, run: () => Promise<void>): void {
  if (defaults.jobsPerProcess === undefined) test(name, run);
}

/** A Jobserver that `checkSlots` checks and closes after the test. */
export function openJobserver(
  given: JobserverOptions & { slots: number },
): Jobserver {
  const options = { ...defaults, ...given };
  const slots = SlotPipe.open(options.slots);
  const js = new Derived(new Pool(slots), initialControls(options));
  opened.push({ js, slots });
  return js;
}

/** The number of free slots of a Jobserver from `openJobserver`. */
export function freeSlots(js: Jobserver): number {
  return countFree(opened.find((each) => each.js === js)!.slots);
}

/** Fails a test after which there are too few or too many free slots. */
export function checkSlots(): void {
  afterEach(async () => {
    for (const { js, slots } of opened.splice(0)) {
      // The pipe is closed only once all tokens are back, also while this waits.
      const areBack = (): boolean =>
        slots.reader < 0 || countFree(slots) === slots.count;
      await until('jobs to finish', () => js.running === 0);
      await until(`${slots.count} free slots`, areBack, 5000);
      await js.close();
    }
  });
}

/**
 * For `checkLeaks`: opens what is open while jobs of this context run, such as
 * a zygote, until the end of the describe block.
 */
export function warmUp(context: Context): () => Promise<unknown> {
  let js: Jobserver | undefined;
  afterAll(() => {
    selector.release();
    return js?.close();
  });
  return () => {
    // Otherwise each test that opens the selector would wait for its end, which comes a
    // second after its last use.
    selector.hold();
    js = new Jobserver({ context, slots: 1 });
    return js.run(identity, 1);
  };
}

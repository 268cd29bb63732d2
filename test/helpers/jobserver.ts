import { Jobserver, type JobserverOptions } from '../../dist/index.js';
import { type Controls, initialControls } from '../../dist/job/controls.js';
import { Pool } from '../../dist/job/pool.js';
import { SlotPipe } from '../../dist/slots/slot-pipe.js';
import { until } from './until.js';

/** Tokens in the pipe; each is taken, and all are given back. */
function countFree(slots: SlotPipe): number {
  const tokens = [];
  for (let token; (token = slots.tryTake()) !== undefined;) {
    tokens.push(token);
  }
  for (const token of tokens) token.give();
  return tokens.length;
}

const opened: { js: Jobserver; slots: SlotPipe; count: number }[] = [];

// The constructor of derived handles is no part of the declarations.
const Derived = Jobserver as unknown as new (
  pool: Pool,
  controls: Controls,
) => Jobserver;

/** A Jobserver whose slots are counted, and which is closed, after the test. */
export function openJobserver(
  options: JobserverOptions & { slots: number },
): Jobserver {
  const slots = SlotPipe.open(options.slots);
  const js = new Derived(new Pool(slots), initialControls(options));
  opened.push({ js, slots, count: options.slots });
  return js;
}

/** Free slots of a Jobserver that `openJobserver` has made. */
export function freeSlots(js: Jobserver): number {
  return countFree(opened.find((each) => each.js === js)!.slots);
}

/** Fails a test after which a slot is missing or left over. */
export function checkSlots(): void {
  afterEach(async () => {
    for (const { js, slots, count } of opened.splice(0)) {
      // A closed pipe has been given all its tokens, or it would be open.
      if (slots.reader < 0) continue;
      await until('jobs to finish', () => js.running === 0);
      await until(
        `${count} free slots`,
        () => countFree(slots) === count,
        5000,
      );
      await js.close();
    }
  });
}

// What a process that is started now would inherit, as a text that changes when
// it changes. A process that runs several jobs was started earlier: it gets a job
// only if the job would find there what it would find in a new process.
import { native } from '../system/binding.js';
import { now } from '../system/deadline.js';

// The rest of the state is slow to read, so a change of it may be noticed this
// much later. Rights are read each time.
const stateMs = 10;

let state = 0;
let readAt = -Infinity;

export function presentInheritance(): string {
  if (now() - readAt >= stateMs) {
    state = native.stamp(false);
    readAt = now();
  }
  return `${native.stamp(true)} ${state}`;
}

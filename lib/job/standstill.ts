// The warning of a job that waits for long and lends no slot. No process knows
// whether the jobs in the other slots wait as well.
let hasWarned = false;

/** Warns once in a process. `holdsSlot`: that of the job, which it may not lend. */
export function warnOfStandstill(holdsSlot: boolean): void {
  if (hasWarned) return;
  hasWarned = true;
  const message = holdsSlot
    ? 'A job has waited 10 seconds for a slot with `consume: 1`, and holds one ' +
      'itself. If every slot is held by a job that waits, they wait forever: ' +
      'omit `consume`, so that the new job can run in the slot of the job that ' +
      'waits for it, or give a timeout'
    : 'A job that was submitted with `consume: 0` has waited 10 seconds for a ' +
      'slot. If every slot is held by a job that waits for such a job, they ' +
      'wait forever: submit it without `consume`, so that it has a slot to ' +
      'lend, or give a timeout';
  const warning = Object.assign(new Error(message), {
    name: 'JobserverWarning',
    code: 'JOBSERVER_STANDSTILL',
  });
  // process.emitWarning would put it off until a call that blocks has returned.
  process.emit('warning', warning);
}

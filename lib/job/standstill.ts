// The warning of a job that waits for long with a slot that it cannot lend. No
// process knows whether the jobs in the other slots wait as well.
let hasWarned = false;

/** Warns once in a process. */
export function warnOfStandstill(): void {
  if (hasWarned) return;
  hasWarned = true;
  const message =
    'A job has waited 10 seconds for a slot with `consume: 1`, and holds one ' +
    'itself. If every slot is held by a job that waits, they wait forever: ' +
    'omit `consume`, so that the new job can run in the slot of the job that ' +
    'waits for it, or give a timeout';
  const warning = Object.assign(new Error(message), {
    name: 'JobserverWarning',
    code: 'JOBSERVER_STANDSTILL',
  });
  // process.emitWarning would put it off until a call that blocks has returned.
  process.emit('warning', warning);
}

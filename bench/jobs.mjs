export function nothing() {
  return undefined;
}

/** The process that has forked this one. */
export const parent = () => process.ppid;

/** Blocks the thread, because a job of the fork context has no event loop. */
export function pause(milliseconds) {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}

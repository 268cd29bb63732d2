export function nothing() {
  return undefined;
}

/** Blocks, without an event loop to wait in. */
export function pause(milliseconds) {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}

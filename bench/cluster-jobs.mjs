// What the jobs of cluster.mjs do: for ours by their exports, and for BullMQ as its
// processor, which is given their names.
export function noop() {
  return undefined;
}

/** Uses the CPU for so long. */
export function burn(ms) {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

export const lengthOf = (bytes) => bytes.length;

export const bytesOf = (count) => Buffer.alloc(count, 1);

export function hang() {
  setInterval(() => undefined, 1000);
  return new Promise(() => undefined);
}

/** BullMQ calls it with its job. */
export async function processor({ name, data }) {
  if (name === 'lengthOf') return Buffer.from(data, 'base64').length;
  if (name === 'bytesOf') return bytesOf(data).toString('base64');
  return { noop, burn }[name](data);
}

// eslint-disable-next-line no-restricted-exports -- BullMQ imports it so.
export default processor;

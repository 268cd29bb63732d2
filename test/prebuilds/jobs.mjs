import { Jobserver } from 'jobserver';

export const add = (a, b) => a + b;

export const machine = () => `${process.arch} ${process.version}`;

export function raise() {
  throw new RangeError('as it should');
}

export function forever() {
  setInterval(() => undefined, 1_000_000);
  return new Promise(() => undefined);
}

export async function nested(context) {
  const jobserver = new Jobserver({ context });
  const sum = await jobserver.run(add, 3, 4);
  await jobserver.close();
  return sum;
}

// `share` makes memory that all jobs map instead of copying it: one large table for
// all of them, which nobody can change, and one that each of them can.
import assert from 'node:assert/strict';
import { Jobserver, LostResult, isWorker, share } from 'jobserver';

const WORDS = 50_000;
const SHARDS = 8;

const word = (n) => `word ${n * 7919}`;

/** The words in order, as one text, and where each begins in it. */
function makeIndex(words) {
  const text = Buffer.from([...words].sort().join('\n'));
  const starts = [0];
  for (let i = 0; i < text.length; i++) {
    if (text[i] === 10) starts.push(i + 1);
  }
  starts.push(text.length + 1);
  const positions = new Uint32Array(share(Uint32Array.from(starts)));
  return { text: new Uint8Array(share(text)), positions };
}

function wordAt({ text, positions }, index) {
  const bytes = text.subarray(positions[index], positions[index + 1] - 1);
  return Buffer.from(bytes).toString();
}

/** The place of a word in the index; -1 if it is not there. */
function find(index, wanted) {
  let first = 0;
  let last = index.positions.length - 2;
  while (first <= last) {
    const middle = (first + last) >> 1;
    const found = wordAt(index, middle);
    if (found === wanted) return middle;
    if (found < wanted) first = middle + 1;
    else last = middle - 1;
  }
  return -1;
}

/** Adds to a counter that all jobs have: one for each word that was found. */
export function count(index, counter, words) {
  const found = words.filter((each) => find(index, each) >= 0);
  Atomics.add(counter, 0, found.length);
  return found.length;
}

export function giveBack(value) {
  return value;
}

export function overwrite({ text }) {
  text[0] = 0;
}

if (!isWorker) {
  const all = Array.from({ length: WORDS }, (_, n) => word(n));
  const index = makeIndex(all);
  // A number of bytes instead of their content: zeros that each job can change.
  const counter = new Int32Array(share(4));
  const jobserver = new Jobserver({ slots: 2 });
  try {
    // Half of these words are in the index.
    const wanted = Array.from({ length: 4000 }, (_, n) => word(n * 25));
    const shards = Array.from({ length: SHARDS }, (_, shard) => [
      index,
      counter,
      wanted.filter((_, n) => n % SHARDS === shard),
    ]);
    let found = 0;
    for await (const each of jobserver.starmap(count, shards)) found += each;
    assert.equal(found, 2000);
    assert.equal(Atomics.load(counter, 0), 2000);

    // A process has one buffer for one shared memory, however often it comes.
    const back = await jobserver.run(giveBack, counter);
    assert.equal(back.buffer, counter.buffer);

    // A job that writes to the index ends. Nobody else sees a change.
    const lost = await jobserver.run(overwrite, index).catch((error) => error);
    assert.ok(lost instanceof LostResult);
    assert.match(lost.signal, /^SIG(SEGV|BUS)$/);
    assert.equal(find(index, word(1)) >= 0, true);
  } finally {
    await jobserver.close();
  }
  console.log(`${SHARDS} jobs searched one table of ${WORDS} words.`);
}

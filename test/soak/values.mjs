// Sends and keeps so many large buffers that a process which mapped them all would
// have no mapping or no memory left.
//
//   node test/soak/values.mjs [--many=N] [KIND...]
//
// Fails when a buffer has wrong bytes, or more is mapped than may be. N buffers are
// kept, by default 70,000: as many mappings would end the process.
import assert from 'node:assert/strict';
import { setImmediate as turnOfLoop } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import {
  Jobserver,
  allocate,
  move,
  share,
  sharedMemory,
} from '../../dist/index.js';
import arrivals from '../../dist/memory/arrivals.js';
import segment from '../../dist/memory/segment.js';
import fd from '../../dist/system/fd.js';
import value from '../../dist/wire/value.js';
import { echoMoved, fill, filledLists } from '../fixtures/large-value-jobs.mjs';

const { Arrivals } = arrivals;
const { Segment, headBytes, orderFor } = segment;
const { encode, decode, placeKinds } = value;
const { values, positionals: names } = parseArgs({
  options: { many: { type: 'string', default: '70000' } },
  allowPositionals: true,
});
const many = Number(values.many);
const length = 32 << 10;
const mega = 1 << 20;
const limit = 256 * mega;

const open = (context) =>
  new Jobserver({ context, slots: 1, jobsPerProcess: Infinity });

function checkUse() {
  const { received, allocated } = sharedMemory;
  assert.ok(received.bytes + allocated.bytes <= sharedMemory.limit);
  assert.ok(received.count + allocated.count <= 1024);
}

async function keepResults(hasMoved) {
  const js = open();
  const kept = [];
  for (let i = 0; i < many / 700; i++) {
    kept.push(...(await js.run(filledLists, 700, length, i % 256, hasMoved)));
  }
  for (const [i, bytes] of kept.entries()) {
    assert.equal(bytes[length - 1], Math.floor(i / 700) % 256);
  }
  await js.close();
}

/** Like a child of this process that runs until it has no memory left. */
async function runThousand(context) {
  const js = open(context);
  for (let i = 0; i < 1000; i++) {
    const bytes = await js.run(fill, 8 * mega, i % 256);
    assert.equal(bytes[8 * mega - 1], i % 256);
    checkUse();
    // Of copies and mappings.
    assert.ok(process.memoryUsage().external < 4 * limit);
  }
  await js.close();
}

const kinds = {
  copied: () => keepResults(false),
  moved: () => keepResults(true),
  /** What a worker could send that moves small parts of a segment. */
  parts() {
    const source = Segment.open(orderFor(headBytes + mega));
    source.write(Buffer.alloc(mega, 7), headBytes);
    const offset = headBytes;
    const place = { kind: placeKinds.moved, file: 0, offset, length };
    const view = new Uint8Array(length);
    const bytes = encode(view, 'value', undefined, () => [place]);
    const single = new Arrivals(false);
    const kept = Array.from({ length: many }, () => {
      const files = [fd.duplicate(source.fd)];
      const [buffers] = single.receive(files, [bytes], true);
      return decode(bytes, undefined, buffers);
    });
    for (const buffer of kept) assert.equal(buffer[length - 1], 7);
    checkUse();
  },
  /** Their pages are never touched. */
  allocated() {
    sharedMemory.limit = Infinity;
    const kept = Array.from({ length: many }, () => allocate(mega));
    assert.equal(kept.length, many);
    checkUse();
    sharedMemory.limit = limit;
  },
  shared() {
    const kept = [];
    const refuse = () => {
      while (kept.length < many) kept.push(share(length));
    };
    assert.throws(refuse, ({ code }) => ['EMFILE', 'ENOMEM'].includes(code));
  },
  /** Thousands are moved into a job and back; some stay. */
  async thousands() {
    const js = open();
    const kept = [];
    for (let i = 0; i < 3000; i++) {
      const bytes = new Uint8Array(allocate(mega)).fill(i);
      const got = await js.run(echoMoved, move(bytes));
      assert.equal(got[mega - 1], i % 256);
      if (i % 6 === 0) kept.push({ i, got });
      checkUse();
    }
    for (const { i, got } of kept) assert.equal(got[0], i % 256);
    await js.close();
  },
  forkserver: () => runThousand('forkserver'),
  spawn: () => runThousand('spawn'),
  async allocating() {
    for (let i = 0; i < 1000; i++) {
      new Uint8Array(allocate(8 * mega)).fill(i);
      checkUse();
      if (i % 2 === 0) await turnOfLoop();
      assert.ok(process.memoryUsage().external < 4 * limit);
    }
  },
};

for (const name of names.length > 0 ? names : Object.keys(kinds)) {
  const start = performance.now();
  await kinds[name]();
  const seconds = ((performance.now() - start) / 1e3).toFixed(1);
  const { received, allocated, shared } = sharedMemory;
  const use = JSON.stringify({ received, allocated, shared });
  console.log(`${name}: ${seconds} s, ${use}`);
}

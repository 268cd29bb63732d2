// What a worker of several jobs sends to its submitter and writes to their page
// may be anything. The workers here are no processes, so that many can be tried.
import { ftruncateSync, openSync, readdirSync } from 'node:fs';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import type { Ending } from '../../dist/errors.js';
import type { Worker } from '../../dist/launch/launcher.js';
import { launchers } from '../../dist/launch/launchers.js';
import { Segment, headBytes } from '../../dist/memory/segment.js';
import { Claims, jobWords } from '../../dist/protocol/claims.js';
import { writeFrame } from '../../dist/protocol/frame.js';
import {
  MessageReader,
  MessageWriter,
  type OutgoingMessage,
} from '../../dist/protocol/messages.js';
import type { Order } from '../../dist/protocol/order.js';
import { packReport, unpackCall } from '../../dist/protocol/worker-messages.js';
import { native } from '../../dist/system/binding.js';
import { duplicate, openPipe } from '../../dist/system/fd.js';
import { type Mapping, mappingFlags } from '../../dist/system/segment-verbs.js';
import {
  type Encoded,
  type Place,
  decode,
  encode,
  placeKinds,
} from '../../dist/wire/value.js';
import { identity } from '../fixtures/jobs.js';
import { collectGarbage } from '../helpers/collect.js';
import { freeSlots, openJobserver } from '../helpers/jobserver.js';
import { timeoutFactor, until } from '../helpers/until.js';

// Each one runs a dozen jobs.
const runs = {
  numRuns: Math.ceil(Number(process.env['PROPERTY_RUNS'] ?? 1000) / 10),
};
// No step takes longer.
const mega = 1 << 20;
const patienceMs = 20_000 * timeoutFactor;

type Step =
  | { do: 'answer' | 'claimAll' | 'close' | 'die' | 'sendFds' }
  | { do: 'answerWith'; files: readonly FileName[]; places: readonly Place[] }
  | { do: 'report'; kind: number; job: number; length: number }
  | { do: 'send'; bytes: Uint8Array }
  | { do: 'write'; at: number; word: number };

/** What a worker may send in the place of a segment. */
const files = {
  segment: () => {
    const segment = Segment.open(21);
    segment.lend();
    const copy = native.dup(segment.fd);
    segment.close();
    return copy;
  },
  /** Its receiver has given it back. */
  returned: () => native.segmentFile(2 * mega + headBytes),
  tiny: () => native.segmentFile(10),
  unsealed: () => {
    const fd = native.anonymousFile();
    ftruncateSync(fd, 4 * mega);
    return fd;
  },
  empty: () => native.anonymousFile(),
  folder: () => openSync('/', 'r'),
  pipe: () => {
    const { reader, writer } = openPipe('test pipe');
    const copy = native.dup(reader.number);
    reader.close();
    writer.close();
    return copy;
  },
};
type FileName = keyof typeof files;

const answerTo = (args: Encoded): Encoded =>
  encode((decode(args) as unknown[])[0], 'result');

/** A worker that runs its job at once, or takes the steps, and ends. */
class FakeWorker implements Worker {
  readonly hasBegun = true;
  readonly pid = 0x7fffffff;
  readonly #order: Order;
  readonly #end = openPipe('end of a worker');
  readonly #socket;
  readonly #reader = new MessageReader();
  readonly #writer = new MessageWriter();
  readonly #claims: Claims | undefined;
  readonly #words: Int32Array;
  #job = 0;
  #ending: Ending | undefined;

  constructor(order: Order, socket: number, steps: readonly Step[]) {
    this.#order = order;
    this.#socket = duplicate(socket);
    native.setNonBlocking(this.#socket.number, true);
    const file = order.claimsFile;
    if (file === undefined) {
      this.#words = new Int32Array(0);
    } else {
      this.#claims = new Claims(file);
      const page = native.mapSegment(file, 4096, mappingFlags.shared);
      const words = native.viewSegment(page as Mapping, 0, 4096);
      this.#words = new Int32Array(words as ArrayBuffer);
    }
    void this.#run(steps);
  }

  get exitFd(): number {
    return this.#end.reader.number;
  }

  reap(): Ending | undefined {
    return this.#ending;
  }

  kill(): void {
    this.#die();
  }

  close(): void {
    this.#end.reader.close();
  }

  async #run(steps: readonly Step[]): Promise<void> {
    await setImmediate();
    if (this.#claims === undefined) this.#answerAlone();
    for (const step of steps) {
      if (this.#ending !== undefined) return;
      this.#take(step);
      await setImmediate();
    }
    this.#die();
  }

  #answerAlone(): void {
    const args = this.#order.body[1]!;
    writeFrame(this.#socket.number, 'value', Buffer.from(answerTo(args)));
    this.#die();
  }

  #take(step: Step): void {
    const socket = this.#socket.number;
    if (step.do === 'answer') this.#answer();
    else if (step.do === 'answerWith') this.#answer(step);
    else if (step.do === 'report') {
      const { kind, job, length } = step;
      const parts = [Buffer.alloc(length, '1')];
      this.#send({ kind, job: this.#job + job, parts });
    } else if (step.do === 'send') {
      native.sendFds(socket, step.bytes, new Int32Array(0));
    } else if (step.do === 'sendFds') {
      native.sendFds(socket, Uint8Array.of(0), Int32Array.of(0, 1, socket));
    } else if (step.do === 'write') {
      this.#words[step.at] = step.word;
    } else if (step.do === 'claimAll') {
      for (const [i, word] of this.#words.subarray(0, jobWords).entries()) {
        if (word > 0) this.#words[i] = -word;
      }
    } else if (step.do === 'close') this.#socket.close();
    else this.#die();
  }

  /** As a worker does; ends at the end of its socket. */
  #answer(sent?: Extract<Step, { do: 'answerWith' }>): void {
    if (this.#socket.number < 0) return;
    if (!this.#reader.fill(this.#socket.number)) this.#die();
    for (let message; (message = this.#reader.next()) !== undefined;) {
      this.#job = message.job;
      if (!this.#claims!.claim(message.job)) continue;
      const { args } = unpackCall(message)!;
      const kind = packReport({ kind: 'value', state: 'free' });
      const { job } = message;
      if (sent === undefined) {
        this.#send({ kind, job, parts: [answerTo(args)] });
        return;
      }
      const view = new Uint8Array(mega);
      const value = sent.places.map(() => view.slice());
      const bytes = encode(value, 'result', undefined, () => sent.places);
      const opened = sent.files.map((name) => files[name]());
      // The first one comes twice.
      const enclosures = [...opened, ...opened.slice(0, 1)];
      this.#send({ kind, job, parts: [bytes], enclosures });
      for (const fd of opened) native.close(fd);
      return;
    }
  }

  #send(message: OutgoingMessage): void {
    this.#writer.send(this.#socket.number, message, false);
  }

  #die(): void {
    if (this.#ending !== undefined) return;
    this.#ending = { pid: this.pid, exitCode: null, signal: 'SIGKILL' };
    this.#socket.close();
    this.#reader.close();
    this.#end.writer.close();
  }
}

const small = fc.integer({ min: -3, max: 12 });
const place = fc.record({
  kind: fc.constantFrom<number>(...Object.values(placeKinds), 9),
  file: fc.constantFrom(0, 0, 1, 31, -1),
  offset: fc.constantFrom(headBytes, headBytes, 0, 1, mega, 2 ** 40, -8),
  length: fc.constantFrom(mega, mega, 40_000, 0, 8 * mega, 2 ** 52),
});

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.constant({ do: 'answer' as const }) },
  fc.constantFrom<Step>(
    ...(['claimAll', 'close', 'die', 'sendFds'] as const).map((each) => ({
      do: each as 'die',
    })),
  ),
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('answerWith' as const),
      files: fc.array(
        fc.constantFrom<FileName>(
          'segment',
          ...(Object.keys(files) as FileName[]),
        ),
        { maxLength: 32 },
      ),
      places: fc.array(place as fc.Arbitrary<Place>, {
        minLength: 1,
        maxLength: 4,
      }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('report' as const),
      kind: fc.oneof(fc.nat(16), fc.integer()),
      job: small,
      length: fc.constantFrom(0, 1, 5000),
    }),
  },
  fc.record({
    do: fc.constant('send' as const),
    bytes: fc.uint8Array({ minLength: 1, maxLength: 60 }),
  }),
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('write' as const),
      at: fc.nat(jobWords + 4),
      word: fc.oneof(small, fc.integer()),
    }),
  },
);

async function inTime<T>(promise: Promise<T>): Promise<T> {
  const timer = new AbortController();
  const late = sleep(patienceMs, undefined, { signal: timer.signal });
  try {
    return await Promise.race([
      promise,
      late.then(() => {
        throw new Error('The jobs have not settled');
      }),
    ]);
  } finally {
    timer.abort();
    late.catch(() => undefined);
  }
}

const countFds = (): number => readdirSync('/dev/fd').length;

/** Jobs of a handle whose processes take these steps, one after the other. */
async function runJobs(
  scripts: readonly (readonly Step[])[],
  killed: number,
): Promise<void> {
  const left = [...scripts];
  const launch = jest.spyOn(launchers.spawn, 'launch');
  launch.mockImplementation(
    (order, socket) => new FakeWorker(order, socket, left.shift() ?? []),
  );
  try {
    const context = 'spawn';
    const js = openJobserver({ context, slots: 2, jobsPerProcess: Infinity });
    const run = async (i: number): Promise<unknown> => {
      const future = await js.submit(identity, [i]);
      if (i === killed) future.kill('SIGKILL');
      return future.result();
    };
    const calls = Array.from({ length: 12 }, (_, i) => run(i));
    await inTime(Promise.allSettled(calls));
    expect([js.running, freeSlots(js)]).toEqual([0, 2]);
    await inTime(js.close());
  } finally {
    launch.mockRestore();
  }
}

test('whatever workers do, each job settles, and no slot and no descriptor is lost', async () => {
  const scripts = fc.array(fc.array(step, { maxLength: 15 }), { maxLength: 5 });
  await runJobs([], -1);
  const before = countFds();
  await fc.assert(
    fc.asyncProperty(scripts, fc.nat(40), async (all, killed) => {
      await runJobs(all, killed);
      await until('no leaked descriptor', async () => {
        collectGarbage();
        await setImmediate();
        return countFds() <= before;
      });
    }),
    runs,
  );
});

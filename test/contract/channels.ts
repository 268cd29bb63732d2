import { once } from 'node:events';
import type { Context } from '../../dist/context.js';
import {
  type JobPort,
  type Jobserver,
  JobserverExecutor,
  LostResult,
  channel,
} from '../../dist/index.js';
import * as jobs from '../fixtures/channel-jobs.js';
import { hasEventLoop } from '../helpers/context.js';
import { useGates } from '../helpers/gate.js';
import { freeSlots, openJobserver } from '../helpers/jobserver.js';
import { rejection, thrown } from '../helpers/thrown.js';
import { until } from '../helpers/until.js';

/** How this process and a job talk to each other. */
export function channelContract(context: Context): void {
  const open = (slots: number): Jobserver => openJobserver({ context, slots });
  const makeGate = useGates();
  const code = 'ERR_JOBSERVER_PORT';

  if (!hasEventLoop(context)) {
    test('a fork of its submitter, which has no event loop, cannot use a port', async () => {
      const [own, other] = channel();
      expect(await open(1).run(jobs.usePort, other)).toBe(code);
      for (const port of [own, other]) {
        expect(port.postMessage('still here')).toBe(true);
      }
      for (const port of [own, other]) port.close();
    });
    return;
  }

  /** The messages of a port until it closes, and its error. */
  async function drain(port: JobPort): Promise<[unknown[], unknown]> {
    const messages: unknown[] = [];
    try {
      for await (const message of port) messages.push(message);
      return [messages, undefined];
    } catch (error) {
      return [messages, error];
    }
  }

  test.each(['echo', 'echoByEvents'] as const)(
    'values of all kinds go to a job and back (%s)',
    async (name) => {
      const [port, other] = channel();
      const done = open(1).run(jobs[name], other);
      const values = [
        undefined,
        null,
        'ü',
        -0,
        new Map([[1, new Date(5)]]),
        { error: new RangeError('in it'), text: 'x'.repeat(300_000) },
        Buffer.alloc(40_000, 1),
        Buffer.alloc(3 << 20, 2),
      ];
      for (const value of values) port.postMessage(value);
      const answers: unknown[] = [];
      for await (const answer of port) {
        answers.push(answer);
        if (answers.length === values.length) port.close();
      }
      const large = answers.splice(-2) as Buffer[];
      expect(
        large.map((each, i) => each.equals(values.at(i - 2) as Buffer)),
      ).toEqual([true, true]);
      expect(answers).toEqual(values.slice(0, -2));
      expect(await done).toBe(name === 'echo' ? 'ended' : 'undefined');
    },
  );

  test('a port may lie anywhere in the arguments, and is one object there', async () => {
    const js = open(1);
    const [port, other] = channel();
    const done = js.run(jobs.echoWithin, { deep: [other] });
    port.postMessage(1);
    expect(await once(port, 'message')).toEqual([1]);
    port.close();
    expect(await done).toBe('ended');
    const [own, twice] = channel();
    expect(await js.run(jobs.areSame, twice, twice)).toBe(true);
    own.close();
  });

  test('what a job has posted arrives before the port closes, without an error', async () => {
    const js = open(1);
    const [port, other] = channel();
    const done = js.run(jobs.postAndEnd, other, 3000);
    const [messages, error] = await drain(port);
    expect([messages.length, messages.at(-1), error]).toEqual([
      3000,
      2999,
      undefined,
    ]);
    expect(await done).toBe(3000);
    const [second, thrower] = channel();
    const failure = rejection(js.run(jobs.postAndThrow, thrower));
    expect(await drain(second)).toEqual([['last words'], undefined]);
    expect(await failure).toBeInstanceOf(RangeError);
  });

  test('the port of a job that is lost closes with the error of its Future', async () => {
    const js = open(1);
    const [port, other] = channel();
    const future = await js.submit(jobs.postAndDie, [other]);
    const closed = once(port, 'close');
    const [messages, error] = await drain(port);
    expect(messages).toEqual(['last words', new Uint8Array(100_000).fill(3)]);
    expect(error).toBeInstanceOf(LostResult);
    expect(await closed).toEqual([error]);
    expect(await rejection(future.result())).toBe(error);
    expect(port.postMessage('too late')).toBe(false);
    await until('the slot to be free', () => freeSlots(js) === 1);
  });

  test('the port of a job that was ended closes with the error of its Future', async () => {
    const js = open(1);
    for (const [name, controls] of [
      ['AbortError', {}],
      // Long enough to post its message.
      ['TimeoutError', { runTimeout: 2000 }],
    ] as const) {
      const [port, other] = channel();
      const controller = new AbortController();
      const { signal } = controller;
      const future = await js
        .with(controls)
        .submit(jobs.waitForever, [other], { signal });
      await once(port, 'message');
      if (name === 'AbortError') controller.abort();
      const [error] = (await once(port, 'close')) as [Error];
      expect(error).toMatchObject({ name });
      expect(await rejection(future.result())).toBe(error);
    }
  });

  test('a port that nobody reads closes with its job as well', async () => {
    const [port, other] = channel();
    const future = await open(1).submit(jobs.postAndDie, [other]);
    const closed = once(port, 'close');
    const error = await rejection(future.result());
    expect(await closed).toEqual([error]);
  });

  test('a port that a job closes is closed here, while the job goes on', async () => {
    const gate = makeGate();
    const [port, other] = channel();
    const done = open(1).run(jobs.closeAndWait, other, gate.file);
    expect(await drain(port)).toEqual([['before'], undefined]);
    gate.open();
    expect(await done).toBe('opened');
  });

  test('a job may pass its port on to a job of its own', async () => {
    const [port, other] = channel();
    const done = open(1).run(jobs.passOn, other);
    port.postMessage('far');
    expect(await once(port, 'message')).toEqual(['far']);
    port.close();
    expect(await done).toBe('ended');
  });

  test('a job may talk to a job of its own', async () => {
    expect(await open(1).run(jobs.talk)).toEqual(['question', 'ended']);
  });

  test('two jobs may talk to each other', async () => {
    const js = open(2);
    const [one, other] = channel();
    const numbers = js.run(jobs.numbersOf, one);
    expect(await js.run(jobs.postAndEnd, other, 20)).toBe(20);
    expect(await numbers).toEqual(Array.from({ length: 20 }, (_, i) => i));
  });

  test('postMessage returns false while much waits, drain follows, and nothing is dropped', async () => {
    const gate = makeGate();
    const [port, other] = channel();
    const done = open(1).run(jobs.readAtGate, other, gate.file);
    let drains = 0;
    port.on('drain', () => (drains += 1));
    let posted = 0;
    const message = 'x'.repeat(10_000);
    while (port.postMessage(message)) posted += message.length;
    for (let i = 0; i < 100; i++) port.postMessage(message);
    posted += 101 * message.length;
    gate.open();
    await once(port, 'drain');
    port.postMessage(message);
    port.close();
    expect(await done).toBe(posted + message.length);
    expect(drains).toBe(1);
  });

  test('an iteration that is busy lets the other end wait', async () => {
    const [port, other] = channel();
    const done = open(1).run(jobs.postAndEnd, other, 50_000);
    let count = 0;
    for await (const value of port) {
      if (value !== count)
        throw new Error(`${String(value)} came after ${count}`);
      count += 1;
      if (count % 10_000 === 0)
        await new Promise((resume) => setTimeout(resume, 5));
    }
    expect([count, await done]).toEqual([50_000, 50_000]);
  });

  test('a call that blocks the thread reads the ports, too', () => {
    const [port, other] = channel();
    const messages: unknown[] = [];
    port.on('message', (value) => messages.push(value));
    const future = open(1).submitSync(jobs.postAndEnd, [other, 20_000]);
    expect(future.resultSync()).toBe(20_000);
    expect(messages.length).toBeGreaterThan(0);
    port.close();
  });

  test('a port that a job leaves open ends with the job', async () => {
    const [port, other] = channel();
    const closed = once(port, 'close');
    expect(await open(1).run(jobs.listenAndReturn, other)).toBe('returned');
    expect(await closed).toEqual([undefined]);
  });

  test('maps and executors pass ports', async () => {
    const js = open(2);
    const pairs = [channel(), channel(), channel()];
    const ports = pairs.map(([, other]) => other);
    for (const [port] of pairs) {
      port.postMessage('x');
      port.once('message', () => port.close());
    }
    const ended: string[] = [];
    for await (const end of js.map(jobs.echo, ports, { chunkSize: 2 })) {
      ended.push(end);
    }
    expect(ended).toEqual(['ended', 'ended', 'ended']);
    const executor = new JobserverExecutor(js);
    const [port, other] = channel();
    const done = executor.submit(jobs.echo, other);
    port.close();
    expect(await done).toBe('ended');
    await executor.shutdown();
  });

  test('a port that was passed cannot be used here, or be passed again', async () => {
    const js = open(1);
    const [port, other] = channel();
    const done = js.run(jobs.echo, other);
    for (const use of [
      () => other.postMessage(1),
      () => other.close(),
      () => js.submitSync(jobs.echo, [other]),
    ]) {
      expect((thrown(use) as Error).message).toContain('passed to a job');
    }
    expect(thrown(() => other.postMessage(1))).toMatchObject({ code });
    port.close();
    expect(await done).toBe('ended');
  });

  test('a port that is in use, closed, or goes with retries is refused, and stays', async () => {
    const js = open(1);
    const [port, other] = channel();
    const refusal = (use: () => unknown): string => {
      const error = thrown(use);
      expect(error).toBeInstanceOf(TypeError);
      expect(error).toMatchObject({ code: 'ERR_JOBSERVER_NOT_SERIALIZABLE' });
      return (error as Error).message;
    };
    const retried = js.with({ retries: 1 });
    expect(refusal(() => retried.submitSync(jobs.echo, [other]))).toContain(
      '`retries`',
    );
    port.postMessage('read here');
    expect(await once(other, 'message')).toEqual(['read here']);
    expect(refusal(() => js.submitSync(jobs.echo, [other]))).toContain(
      'read from here',
    );
    other.close();
    expect(refusal(() => js.submitSync(jobs.echo, [other]))).toContain(
      'closed',
    );
    port.close();
  });

  test('a port cannot be a result, a message or a report', async () => {
    const js = open(1).with({ onReport: () => undefined });
    const [port, other] = channel();
    const error = await rejection(js.run(jobs.returnPort, other));
    expect(error).toMatchObject({ code: 'ERR_JOBSERVER_NOT_SERIALIZABLE' });
    expect((error as Error).message).toContain('JobPort');
    const [one, two] = channel();
    expect(await js.run(jobs.reportPort, two)).toContain('JobPort');
    const [spare, last] = channel();
    expect(thrown(() => spare.postMessage(last))).toBeInstanceOf(TypeError);
    for (const each of [port, one, spare, last]) each.close();
  });

  test('a call that is aborted before it begins closes the port that it was given', async () => {
    const js = open(1);
    const [port, other] = channel();
    const reason = { signal: AbortSignal.abort() };
    await rejection(js.submit(jobs.echo, [other], reason));
    expect(await drain(port)).toEqual([[], undefined]);
    const gate = makeGate();
    const holder = await js.submit(jobs.closeAndWait, [
      channel()[1],
      gate.file,
    ]);
    const [next, waiting] = channel();
    await rejection(js.submit(jobs.echo, [waiting], { timeout: 10 }));
    expect(await drain(next)).toEqual([[], undefined]);
    gate.open();
    await holder.result();
  });
}

import { setTimeout as sleep } from 'node:timers/promises';
import { Intake, type IntakeOptions } from '../../dist/bullmq/intake.js';
import { rejection } from '../helpers/thrown.js';
import { until } from '../helpers/until.js';

type OneJob = Parameters<IntakeOptions['onJob']>[0];
type Place = ReturnType<IntakeOptions['pool']['request']>;

/** The reply of the server to one request, when the test gives it. */
interface Asked {
  readonly what:
    'next' | 'completed' | 'completed and next' | 'failed' | 'back';
  readonly id: string | undefined;
  readonly lock: string;
  reply(value?: unknown): void;
  refuse(error: Error): void;
}

const shortLeaseMs = 300;

/** An Intake whose server and slots are the test's. */
class Setup {
  readonly asked: Asked[] = [];
  readonly started: OneJob[] = [];
  readonly errors: Error[] = [];
  readonly intake: Intake;
  readonly end: Promise<void>;
  slots: number;
  /** Jobs that were started and have not ended. */
  running = 0;
  #waiting: ((isThere: boolean) => void)[] = [];
  #line: (() => void)[] = [];

  constructor({ slots = 1, max = Infinity, leaseMs = shortLeaseMs } = {}) {
    this.slots = slots;
    const backend = {
      waitForJob: () =>
        new Promise((resolve) => {
          this.#waiting.push((isThere) => {
            resolve(isThere ? {} : null);
          });
        }),
      disconnectBlocking: () => {
        this.wake(false);
        return Promise.resolve();
      },
    };
    const options = {
      connection: {
        redis: { status: 'ready', zadd: () => Promise.resolve() },
        queue: { keys: { marker: 'marker' } },
        settings: { leaseMs },
      },
      worker: {
        getNextJob: (lock: string) => this.#ask('next', undefined, lock),
        getBackend: () => backend,
        ...this.#asQueue(),
      },
      pool: { request: this.#request },
      gate: undefined,
      host: 'mill',
      hasRoom: (coming: number) => this.running + coming < max,
      onJob: (job: OneJob) => {
        this.running += 1;
        this.started.push(job);
      },
      onError: (error: Error) => this.errors.push(error),
    };
    this.intake = new Intake(options as never);
    this.end = this.intake.run();
  }

  readonly #request: IntakeOptions['pool']['request'] = ({
    onSlot,
    onError,
  }) => {
    let isSettled = false;
    const give = (): void => {
      isSettled = true;
      this.slots -= 1;
      onSlot({ give: () => this.giveSlot() } as never);
    };
    if (this.slots > 0) give();
    else this.#line.push(give);
    return {
      get isSettled() {
        return isSettled;
      },
      fail: (error: Error) => {
        this.#line = this.#line.filter((each) => each !== give);
        onError(error);
      },
    } as unknown as Place;
  };

  giveSlot(): void {
    this.slots += 1;
    this.#line.shift()?.();
  }

  /** The intake waits for a job, and there is one or not. */
  wake(isThere: boolean): void {
    for (const wake of this.#waiting.splice(0)) wake(isThere);
  }

  get isIdle(): boolean {
    return this.#waiting.length > 0;
  }

  job(id: string, deferredFailure?: string): OneJob {
    const job = {
      id,
      token: '',
      deferredFailure,
      moveToCompleted: (_: unknown, lock: string, asks: boolean) =>
        this.#ask(asks ? 'completed and next' : 'completed', id, lock),
      moveToFailed: (_: unknown, lock: string) => this.#ask('failed', id, lock),
    };
    return job as unknown as OneJob;
  }

  /** What the server has of a job. */
  fields(id: string, deferredFailure?: string): readonly unknown[] {
    return [{ id, name: 'x', data: '{}', opts: {}, deferredFailure }, id, 0, 0];
  }

  async nth(number: number): Promise<Asked> {
    await until('a request', () => this.asked.length >= number);
    return this.asked[number - 1]!;
  }

  /** A job has the slot, and ends with a value: its slot is free in a moment. */
  async finished(id = 'a') {
    const first = await this.nth(1);
    const job = this.job(id);
    job.token = first.lock;
    first.reply(job);
    await until('the start', () => this.started.length === 1);
    const told = this.intake.complete(job, { message: '', mac: '' });
    told.catch(() => undefined);
    setImmediate(() => this.giveSlot());
    return { told, ask: await this.nth(2), lock: first.lock };
  }

  /** What a Job of BullMQ needs. */
  #asQueue(): object {
    return {
      opts: {},
      toKey: (key: string) => key,
      trace: (_: unknown, __: unknown, ___: unknown, run: () => unknown) =>
        run(),
      backend: {
        moveToFailed: async ({ id }: OneJob, ...[, , lock]: string[]) => {
          await this.#ask('failed', id, lock!);
          return {};
        },
        moveJobFromActiveToWait: (id: string, lock: string) =>
          this.#ask('back', id, lock),
      },
    };
  }

  #ask(
    what: Asked['what'],
    id: string | undefined,
    lock: string,
  ): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.asked.push({ what, id, lock, reply: resolve, refuse: reject });
    });
  }
}

describe('the intake of a host', () => {
  const setups: Setup[] = [];
  const open = (given = {}): Setup => {
    const setup = new Setup(given);
    setups.push(setup);
    return setup;
  };

  afterEach(async () => {
    for (const setup of setups.splice(0)) {
      setup.intake.stop();
      for (const { reply } of setup.asked) reply();
      await setup.end;
    }
  });

  test('asks for the next job with the outcome of one, and with its lock', async () => {
    const setup = open();
    const { told, ask, lock } = await setup.finished();
    expect(ask).toMatchObject({ what: 'completed and next', id: 'a', lock });
    ask.reply(setup.fields('b'));
    await told;
    await until('the next to start', () => setup.started.length === 2);
    expect(setup.started[1]).toMatchObject({ id: 'b', token: lock });
    expect(setup.asked).toHaveLength(2);
    expect([setup.slots, setup.errors]).toEqual([0, []]);
  });

  test.each([
    ['no job', []],
    ['a paused queue', [null, 0, 0, 0]],
  ])('with %s, gives the slot back and waits', async (_, reply) => {
    const setup = open();
    const { told, ask } = await setup.finished();
    ask.reply(reply);
    await told;
    // Once more, because there were jobs a moment ago.
    const again = await setup.nth(3);
    expect(again.what).toBe('next');
    again.reply();
    await until('it to wait', () => setup.isIdle);
    expect([setup.slots, setup.errors]).toEqual([1, []]);
    setup.wake(true);
    expect(await setup.nth(4)).toMatchObject({ what: 'next' });
  });

  test('an outcome that is refused is an error of that job, and the queue is asked with a new lock', async () => {
    const setup = open();
    const { told, ask, lock } = await setup.finished();
    ask.refuse(new Error('Missing lock for job a'));
    expect(await rejection(told)).toMatchObject({
      message: 'Missing lock for job a',
    });
    const next = await setup.nth(3);
    expect(next.what).toBe('next');
    expect(next.lock).not.toBe(lock);
    const job = setup.job('b');
    next.reply(job);
    await until('it to start', () => setup.started.includes(job));
    expect(setup.slots).toBe(0);
  });

  test('a job that was asked for before stop is run', async () => {
    const setup = open();
    const { told, ask } = await setup.finished();
    setup.intake.stop();
    ask.reply(setup.fields('b'));
    await told;
    await setup.end;
    expect(setup.started.map(({ id }) => id)).toEqual(['a', 'b']);
    expect(setup.asked).toHaveLength(2);
  });

  test('after stop, outcomes are told and no job is asked for', async () => {
    const setup = open();
    const first = await setup.nth(1);
    const job = setup.job('a');
    first.reply(job);
    await until('the start', () => setup.started.length === 1);
    setup.intake.stop();
    await setup.end;
    const told = setup.intake.complete(job, { message: '', mac: '' });
    setup.giveSlot();
    const ask = await setup.nth(2);
    expect(ask).toMatchObject({ what: 'completed', id: 'a' });
    ask.reply();
    await told;
    expect(setup.slots).toBe(1);
  });

  test('a slot that becomes free as it stops is given back unused', async () => {
    const setup = open({ slots: 0 });
    await sleep(10);
    setup.giveSlot();
    setup.intake.stop();
    await setup.end;
    expect([setup.slots, setup.asked]).toEqual([1, []]);
  });

  test('a job whose host has lost it is failed, and not started', async () => {
    const setup = open();
    const { told, ask, lock } = await setup.finished();
    ask.reply(setup.fields('b', 'job stalled more than allowable limit'));
    await told;
    const failed = await setup.nth(3);
    expect(failed).toMatchObject({ what: 'failed', id: 'b', lock });
    // The slot does not wait for that.
    const next = await setup.nth(4);
    expect(next.what).toBe('next');
    expect(next.lock).not.toBe(lock);
    failed.reply();
    expect(setup.started).toHaveLength(1);
    expect(setup.errors).toEqual([]);
  });

  test('a job that comes later than its lock lasts is given back', async () => {
    const setup = open();
    const { told, ask, lock } = await setup.finished();
    await until('the intake to give up', () => setup.errors.length === 1);
    expect(setup.errors[0]).toMatchObject({
      message: 'The server does not answer',
    });
    ask.reply(setup.fields('b'));
    await told;
    const isSaid = (what: Asked['what']) => (): boolean =>
      setup.asked.some((each) => each.what === what);
    await until('it to be given back', isSaid('back'));
    await until('the next to be asked for', isSaid('next'));
    const last = setup.asked.slice(2);
    expect(last.map(({ what }) => what).sort()).toEqual(['back', 'next']);
    const back = last.find(({ what }) => what === 'back')!;
    expect(back).toMatchObject({ id: 'b', lock });
    // Its lock may have ended meanwhile.
    back.refuse(new Error('Missing lock for job b'));
    last.find(({ what }) => what === 'next')!.reply();
    await until('it to wait', () => setup.isIdle);
    expect([setup.started.length, setup.slots]).toEqual([1, 1]);
    expect(setup.errors).toHaveLength(1);
  });

  test('a job that comes late is given back while its lock lasts', async () => {
    const leaseMs = 4000;
    const setup = open({ leaseMs });
    const start = performance.now();
    const ask = await setup.nth(1);
    await until('the intake to give up', () => setup.errors.length === 1);
    expect(performance.now() - start).toBeLessThan(leaseMs - 1000);
    const back = jest.fn(() => Promise.resolve());
    ask.reply({ ...setup.job('a'), token: ask.lock, moveToWait: back });
    await until('it to be given back', () => back.mock.calls.length === 1);
    expect(back).toHaveBeenCalledWith(ask.lock);
    expect([setup.started, setup.slots]).toEqual([[], 1]);
  });

  test('a server that goes away costs no slot and no outcome unnoticed', async () => {
    const setup = open();
    const { told, ask } = await setup.finished();
    ask.refuse(new Error('Connection is closed.'));
    await rejection(told);
    const next = await setup.nth(3);
    next.refuse(new Error('Connection is closed.'));
    await until('the error', () => setup.errors.length === 1);
    const again = await setup.nth(4);
    expect(again.what).toBe('next');
    again.reply();
    await until('it to wait', () => setup.isIdle);
    expect(setup.slots).toBe(1);
  });

  test('with max 1, the outcome is told before the next job is asked for', async () => {
    const setup = open({ slots: 2, max: 1 });
    const first = await setup.nth(1);
    const job = setup.job('a');
    first.reply(job);
    await until('the start', () => setup.started.length === 1);
    const told = setup.intake.complete(job, { message: '', mac: '' });
    const ask = await setup.nth(2);
    expect(ask.what).toBe('completed');
    ask.reply();
    await told;
    expect(setup.asked).toHaveLength(2);
    setup.running -= 1;
    setup.intake.notify();
    expect(await setup.nth(3)).toMatchObject({ what: 'next' });
  });

  test('outcomes that come together are all told', async () => {
    const setup = open({ slots: 3 });
    const jobs = ['a', 'b', 'c'].map((id) => setup.job(id));
    for (const [i, job] of jobs.entries()) (await setup.nth(i + 1)).reply(job);
    await until('all to start', () => setup.started.length === 3);
    const told = jobs.map((job) =>
      setup.intake.complete(job, { message: '', mac: '' }),
    );
    for (let i = 0; i < 3; i++) {
      const ask = await setup.nth(4 + i);
      expect(ask.what).toMatch(/^completed/);
      ask.reply([]);
    }
    await Promise.all(told);
  });
});

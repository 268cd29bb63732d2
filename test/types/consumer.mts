// Uses the types of the package. scripts/check-types.mjs compiles this program
// with each supported TypeScript, as an ES module and as CommonJS.
import {
  type Executor,
  type ExecutorFuture,
  type Future,
  type JobPort,
  Jobserver,
  JobserverExecutor,
  LostResult,
  type MapOptions,
  type PreloadedModule,
  type SettledItem,
  afterFork,
  channel,
  inline,
  jobInfo,
  jobSignal,
  report,
  slotNumber,
} from 'jobserver';
import {
  ClusterExecutor,
  type ClusterExecutorOptions,
  ClusterHost,
  type ClusterStatus,
  type HostInfo,
  type HostedJob,
  type ValueStore,
  clusterStatus,
} from 'jobserver/bullmq';
import { type JobserverPool, jobserverPool } from 'jobserver/vitest';

type Equal<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2
    ? true
    : false;
function isTrue<_T extends true>(): void {}

export const lengthOf = (text: string): number => text.length;
export async function repeat(text: string, count: number): Promise<string> {
  return text.repeat(count);
}
export function first<T>(items: readonly T[]): T | undefined {
  return items[0];
}
export const options = (given?: { deep: boolean }): boolean => given!.deep;

export async function submit(jobserver: Jobserver): Promise<void> {
  const length = await jobserver.submit(lengthOf, ['four']);
  isTrue<Equal<typeof length, Future<number>>>();
  const repeated = await jobserver.submit(repeat, ['a', 3], { timeout: 1000 });
  isTrue<Equal<typeof repeated, Future<string>>>();
  const result = await repeated.result({ timeout: 1000 });
  isTrue<Equal<typeof result, string>>();
  const sync = jobserver.submitSync(repeat, ['a', 3]).resultSync();
  isTrue<Equal<typeof sync, string>>();
  const hypot = await jobserver.run(Math.hypot, 3, 4);
  isTrue<Equal<typeof hypot, number>>();
  const text = await jobserver.run(repeat, 'a', 3);
  isTrue<Equal<typeof text, string>>();
  const double = inline((n: number) => n * 2);
  const doubled = await jobserver.run(double, 21);
  isTrue<Equal<typeof doubled, number>>();
  const optional = await jobserver.run(options);
  isTrue<Equal<typeof optional, boolean>>();
  const url = 'file:///jobs.mjs#lengthOf';
  const named = await jobserver.submit<[string], number>(url, ['a']);
  isTrue<Equal<typeof named, Future<number>>>();

  const limited = jobserver.with({
    runTimeout: 1000,
    killGrace: Infinity,
    retries: 2,
    cwd: new URL('file:///tmp'),
    nice: 5,
    limits: { cpuTime: 1000, openFiles: 100 },
    oomScoreAdj: 500,
    maxHeapMb: 256,
    execArgv: ['--enable-source-maps'],
    inheritExecArgv: false,
    processGroup: true,
  });
  isTrue<Equal<typeof limited, Jobserver>>();
  const attempt = jobInfo()?.attempt;
  isTrue<Equal<typeof attempt, number | undefined>>();
  isTrue<Equal<ReturnType<typeof jobSignal>, AbortSignal>>();

  // @ts-expect-error Not a number.
  jobserver.with({ runTimeout: '1s' });
  // @ts-expect-error No such limit.
  jobserver.with({ limits: { memory: 1 } });
  // @ts-expect-error An argument of the wrong type.
  await jobserver.submit(lengthOf, [4]);
  // @ts-expect-error One argument too few.
  await jobserver.run(repeat, 'a');
  // @ts-expect-error One argument too many.
  await jobserver.run(lengthOf, 'a', 'b');
  // @ts-expect-error The arguments are not an array.
  await jobserver.submit(lengthOf, 'four');
  // @ts-expect-error No such option.
  await jobserver.submit(lengthOf, ['a'], { timeOut: 1 });
  // @ts-expect-error Awaiting a future gives the future, not its value.
  isTrue<Equal<Awaited<typeof length>, number>>();
  // @ts-expect-error Not a function.
  await jobserver.run(5);
  // @ts-expect-error Not a function.
  inline('lengthOf');
  // @ts-expect-error An argument of the wrong type.
  await jobserver.run(double, 'a');
}

export function preload(given: PreloadedModule): Jobserver {
  afterFork(() => undefined);
  afterFork(async () => {});
  const module = new URL('file:///jobs.mjs');
  const data = new Map([[1, 'one']]);
  // @ts-expect-error Not a function.
  afterFork(5);
  // @ts-expect-error No such name.
  void new Jobserver({ preload: [{ module, date: 1 }] });
  // @ts-expect-error A module has to be named.
  void new Jobserver({ preload: [{ data }] });
  return new Jobserver({
    preload: ['jobs', module, { module, data }, { module: 'jobs' }, given],
  });
}

export async function map(jobserver: Jobserver): Promise<void> {
  for await (const item of jobserver.map(lengthOf, ['a', 'b'])) {
    isTrue<Equal<typeof item, number>>();
  }
  for (const item of jobserver.mapSync(lengthOf, new Set(['a', 'b']))) {
    isTrue<Equal<typeof item, number>>();
  }
  const pairs: [string, number][] = [['a', 1]];
  for await (const item of jobserver.starmap(repeat, pairs)) {
    isTrue<Equal<typeof item, string>>();
  }

  const settled = { settled: true, ordered: false, consume: 0 } as const;
  for await (const each of jobserver.map(lengthOf, ['a'], settled)) {
    isTrue<Equal<typeof each, SettledItem<string, number>>>();
    if (each.status === 'fulfilled') {
      isTrue<Equal<typeof each.value, number>>();
    } else {
      isTrue<Equal<typeof each.reason, unknown>>();
    }
    isTrue<Equal<typeof each.item, string>>();
  }
  for (const each of jobserver.starmapSync(repeat, pairs, { settled: true })) {
    isTrue<Equal<typeof each, SettledItem<[string, number], string>>>();
  }
  const plain: MapOptions = { chunkSize: 2, settled: false };
  for await (const item of jobserver.map(lengthOf, ['a', 'b'], plain)) {
    isTrue<Equal<typeof item, number>>();
  }
  for (const item of jobserver.mapSync(lengthOf, ['a'], { ordered: false })) {
    isTrue<Equal<typeof item, number>>();
  }
  const either = { settled: Math.random() < 0.5 };
  for (const each of jobserver.mapSync(lengthOf, ['a'], either)) {
    isTrue<Equal<typeof each, number | SettledItem<string, number>>>();
  }

  // @ts-expect-error A settled item has no value before its status is known.
  for (const { value } of jobserver.mapSync(lengthOf, [''], settled))
    void value;
  // @ts-expect-error Items of the wrong type.
  jobserver.map(lengthOf, [1, 2]);
  // @ts-expect-error Tuples of the wrong type.
  jobserver.starmap(repeat, [['a', 'b']]);
}

export async function execute(jobserver: Jobserver): Promise<void> {
  const executor = new JobserverExecutor(jobserver);
  const future = executor.submit(repeat, 'a', 3);
  isTrue<Equal<typeof future, ExecutorFuture<string>>>();
  const text = await future;
  isTrue<Equal<typeof text, string>>();
  const { signal } = new AbortController();
  const length = executor.submitWith({ signal, priority: 1 }, lengthOf, 'a');
  isTrue<Equal<typeof length, ExecutorFuture<number>>>();

  for await (const each of executor.map(lengthOf, ['a'], { settled: true })) {
    isTrue<Equal<typeof each, SettledItem<string, number>>>();
  }

  // @ts-expect-error An argument of the wrong type.
  executor.submit(lengthOf, 4);
  // @ts-expect-error No such order.
  const last = new JobserverExecutor(jobserver, { order: 'last' });
  const full = new JobserverExecutor(jobserver, {
    maxPending: 1,
    order: 'lifo',
  });
  await full.drained();
  await last.shutdown({ killSignal: 'SIGTERM', timeout: 1000 });
  await executor.shutdown();
}

export function construct(): Jobserver[] {
  // @ts-expect-error No such option.
  const misspelt = new Jobserver({ slot: 2 });
  // @ts-expect-error No such context.
  const unknown = new Jobserver({ context: 'thread' });
  return [misspelt, unknown, new Jobserver({ slots: 2, context: 'fork' })];
}

export function explain(error: unknown): string {
  if (!(error instanceof LostResult)) return 'another error';
  const { pid, exitCode, signal, items } = error;
  const last: number | undefined = items?.last;
  isTrue<Equal<typeof exitCode, number | null>>();
  isTrue<Equal<typeof signal, NodeJS.Signals | null>>();
  return `${pid} ${exitCode} ${signal} ${last}`;
}

export async function echo(port: JobPort): Promise<number> {
  report({ number: slotNumber() });
  for await (const value of port) {
    isTrue<Equal<typeof value, unknown>>();
    if (!port.postMessage(value)) port.once('drain', () => port.close());
  }
  return jobInfo()!.depth;
}

export async function talk(jobserver: Jobserver): Promise<void> {
  const [port, other] = channel();
  const onReport = (value: unknown, { pid }: Future<unknown>): void =>
    console.log(pid, value);
  const depth = await jobserver.with({ onReport }).run(echo, other);
  isTrue<Equal<typeof depth, number>>();
  port.on('message', (value) => isTrue<Equal<typeof value, unknown>>());
  port.on('close', (error) => {
    isTrue<Equal<typeof error, Error | undefined>>();
  });
}

export function pools(): JobserverPool[] {
  // @ts-expect-error No such option.
  const misspelt = jobserverPool({ slot: 2 });
  const preload = ['typescript', new URL('file:///a.mjs')];
  return [misspelt, jobserverPool(), jobserverPool({ preload, slots: 2 })];
}

export async function distribute(store: ValueStore): Promise<HostInfo[]> {
  const options: ClusterExecutorOptions = {
    connection: { host: '127.0.0.1', tls: {} },
    root: new URL('file:///srv/app'),
    store,
  };
  const executor = new ClusterExecutor(options);
  const either: Executor[] = [executor, new JobserverExecutor()];
  const future = executor.submit(repeat, 'a', 3);
  isTrue<Equal<typeof future, ExecutorFuture<string>>>();
  const onReport = (value: unknown, { state }: ExecutorFuture<unknown>): void =>
    console.log(value, state);
  const handle = executor.with({ onReport, runTimeout: 1000, nice: 3 });
  isTrue<Equal<typeof handle, ClusterExecutor>>();
  for await (const item of handle.map(lengthOf, ['a'], { priority: 1 })) {
    isTrue<Equal<typeof item, number>>();
  }
  // @ts-expect-error An argument of the wrong type.
  executor.submit(lengthOf, 4);
  // @ts-expect-error It is an option of hosts.
  executor.with({ preload: ['typescript'] });
  // @ts-expect-error No such option.
  const misspelt = new ClusterExecutor({ connect: 'redis://127.0.0.1' });
  await misspelt.shutdown();
  await Promise.all(either.map((each) => each.shutdown()));
  return executor.hosts();
}

export async function serve(): Promise<ClusterStatus> {
  const connection = 'rediss://127.0.0.1';
  const host = new ClusterHost({ connection, max: 2 });
  const stop = host.observe({
    ended: ({ name, outcome, run }: HostedJob) =>
      console.log(name, outcome, run),
  });
  stop();
  await host.close({ drain: true });
  return clusterStatus({ connection, queue: 'ci' });
}

// One round of the chaos: Redis, hosts and submitters, what disturbs them, then the
// invariants.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { ClusterExecutor } from 'jobserver/bullmq';
import { Redis } from '../../../scripts/redis.mjs';
import { kill, processes } from '../chaos/processes.mjs';
import { Host } from './host.mjs';
import { meet } from './jobs.mjs';
import { Load } from './load.mjs';
import { root, slotsOfHost } from './settings.mjs';

const submitter = fileURLToPath(new URL('submitter.mjs', import.meta.url));
const hostCount = 3;
const mostCalmMs = 1500;
// All jobs would have met long before; see `meet`.
const lateMs = 10_000;
// What hangs fails after this time.
const patienceMs = 60_000 * Number(process.env.TEST_TIMEOUT_FACTOR ?? 1);

export class Round {
  /** How often each trouble was made. */
  troubles = {};
  #random;
  #kind;
  #folder;
  #starts;
  #redis;
  #hosts = [];
  #names = 0;
  #killed = new Set();
  #submitters = new Set();
  #executor;
  #load;
  #isOver = false;

  constructor({ random, kind, folder }) {
    this.#random = random;
    this.#kind = kind;
    this.#folder = folder;
    this.#starts = join(folder, 'starts');
    writeFileSync(this.#starts, '');
  }

  /** Resolves with what has happened, in numbers. */
  async run() {
    this.#redis = await Redis.start({ isDurable: !this.#kind.losesData });
    try {
      for (let i = 0; i < hostCount; i++) await this.#addHost();
      this.#open();
      await until(
        'hosts',
        () => this.#areReady(),
        () => this.#state(),
      );
      const load = this.#load.run(10, () => this.#isOver);
      load.catch(() => undefined);
      await inTime(
        'the load',
        this.#disturb().then(() => load),
        () => this.#state(),
      );
      await inTime('all calls to end', this.#load.end(), () => this.#state());
      this.#checkStarts();
      this.#checkLosses();
      await this.#checkSlots();
      await this.#close();
      await this.#checkLeft();
    } finally {
      await this.#redis.stop();
    }
    return { ...this.troubles, ...this.#load.outcomes };
  }

  #open() {
    const { retries, leaseMs } = this.#kind;
    this.#executor = new ClusterExecutor({
      connection: this.#redis.url,
      root,
      leaseMs,
      retries,
    });
    this.#load = new Load({
      executor: this.#executor,
      random: this.#random,
      starts: this.#starts,
      name: 'main',
    });
  }

  async #addHost() {
    const name = `host${++this.#names}`;
    this.#hosts.push(
      await Host.start(this.#redis.port, name, this.#kind.leaseMs),
    );
  }

  async #areReady() {
    return (await this.#executor.hosts()).length === hostCount;
  }

  async #disturb() {
    const end = performance.now() + this.#kind.ms;
    while (performance.now() < end) {
      await sleep(this.#random.below(mostCalmMs));
      const name = this.#random.pick(this.#kind.troubles);
      this.troubles[name] = (this.troubles[name] ?? 0) + 1;
      await this.#trouble(name);
    }
    for (const { pid } of this.#submitters) kill(pid);
    this.#isOver = true;
  }

  async #trouble(name) {
    const host = this.#random.pick(this.#hosts);
    // Below and above the lease.
    const pauseMs = this.#random.below(3 * this.#kind.leaseMs);
    if (name === 'killHost') {
      await host.kill();
      this.#killed.add(host.name);
      this.#hosts.splice(this.#hosts.indexOf(host), 1);
      await this.#addHost();
    } else if (name === 'freezeHost') {
      host.signal('SIGSTOP');
      await sleep(pauseMs);
      host.signal('SIGCONT');
    } else if (name === 'cutHost') {
      host.silence();
      await sleep(pauseMs);
      host.heal();
    } else if (name === 'killJob') {
      this.#killOne(/^jobserver-worker/);
    } else if (name === 'killZygote') {
      this.#killOne(/^jobserver-zygote/);
    } else if (name === 'killSubmitter') {
      this.#startSubmitter();
      await sleep(pauseMs);
      this.#killOne(/^chaos-submitter/);
    } else if (name === 'freezeRedis') {
      this.#redis.signal('SIGSTOP');
      await sleep(pauseMs);
      this.#redis.signal('SIGCONT');
    } else if (name === 'restartRedis') {
      await this.#redis.kill();
      await sleep(pauseMs / 3);
      await this.#redis.restart();
    } else {
      throw new Error(`unknown trouble ${name}`);
    }
  }

  #killOne(title) {
    const victims = processes().filter((each) => title.test(each.title));
    if (victims.length > 0) kill(this.#random.pick(victims).pid);
  }

  #startSubmitter() {
    const name = `submitter${this.troubles.killSubmitter}`;
    const seed = String(this.#random.below(1e6));
    const lease = String(this.#kind.leaseMs);
    const args = [submitter, this.#redis.url, this.#starts, name, seed, lease];
    const child = spawn(process.execPath, args, { stdio: 'ignore' });
    this.#submitters.add(child);
    child.once('exit', () => this.#submitters.delete(child));
  }

  #state() {
    const calls = this.#load.open.map(
      ({ call, promise }) => `${call.kind} ${call.id} ${promise.state}`,
    );
    const titles = processes().map(({ pid, title }) => `${pid} ${title}`);
    return [...calls, ...titles].join('\n');
  }

  #checkStarts() {
    const counts = new Map();
    for (const id of readFileSync(this.#starts, 'utf8').split('\n')) {
      if (id !== '') counts.set(id, (counts.get(id) ?? 0) + 1);
    }
    for (const [id, count] of counts) {
      // A nested call is made once for each start of the job around it.
      const isNested = /\.[a-c]$/.test(id);
      const around = isNested ? counts.get(id.slice(0, -2)) : 1;
      const retries =
        id.startsWith('main') && !isNested ? this.#kind.retries : 0;
      const most = around * (1 + retries);
      assert.ok(count <= most, `${id} was started ${count} times`);
    }
  }

  /** Where nothing else is done, exactly those who were killed have lost calls. */
  #checkLosses() {
    if (this.#kind.troubles.some((name) => name !== 'killHost')) return;
    const others = this.#load.lostBy.filter((name) => !this.#killed.has(name));
    assert.deepEqual(others, [], 'calls were lost by hosts that live');
  }

  /** As many jobs as there are slots run at once. */
  async #checkSlots() {
    const folder = join(this.#folder, 'meeting');
    mkdirSync(folder);
    const count = hostCount * slotsOfHost;
    const ids = Array.from({ length: count }, (_, i) => String(i));
    const met = Promise.all(
      ids.map((id) => this.#executor.submit(meet, folder, id, count)),
    );
    // Jobs that do not meet give up one after the other, so the state afterwards would
    // not show what has held a slot.
    let state = '';
    const timer = setTimeout(() => (state = this.#state()), lateMs);
    const all = await inTime('all slots', met, () => this.#state());
    clearTimeout(timer);
    const message = `slots are missing\n${state}`;
    assert.deepEqual(all, Array(count).fill(true), message);
  }

  async #close() {
    const ends = this.#hosts.map((host) => host.drain());
    const faults = await inTime('hosts', Promise.all(ends), () =>
      this.#state(),
    );
    assert.deepEqual(faults.filter(Boolean), []);
    const end = this.#executor.shutdown();
    await inTime('the executor', end, () => this.#state());
  }

  async #checkLeft() {
    await until(
      'processes to end',
      () => processes().length === 0,
      () => this.#state(),
    );
    const isDisturbed =
      this.troubles.restartRedis > 0 || this.troubles.freezeRedis > 0;
    const count = (await this.#keysLeft()).length;
    const isLooking = isDisturbed && count > 0;
    if (isLooking) {
      // The server has given a job to a host that has not heard of it, and nobody looks
      // for such jobs now. The next host does.
      this.troubles.keysLeft = count;
      await this.#addHost();
    }
    await until(
      'keys to be removed',
      async () => (await this.#keysLeft()).length === 0,
      () => this.#describeLeft(),
    );
    if (isLooking) assert.equal(await this.#hosts.at(-1).drain(), undefined);
  }

  /** Keys that a queue has neither always nor for the jobs that it keeps. */
  async #keysLeft() {
    const script = "return redis.call('ZRANGE', ARGV[1], 0, -1)";
    const idsOf = (state) =>
      this.#redis.list(script, `bull:jobserver:${state}`);
    const ids = [await idsOf('completed'), await idsOf('failed')].flat();
    const ended = ids.map((id) => `bull:jobserver:${id}`);
    const keys = await this.#redis.lastingKeys();
    return keys.filter((key) => !isLasting(key) && !ended.includes(key));
  }

  async #describeLeft() {
    const keys = await this.#keysLeft();
    const texts = keys.map(async (key) => {
      const type = (await this.#redis.command('TYPE', key)).trim();
      if (type !== '+hash') return `${key} ${type}`;
      const script = "return redis.call('HGETALL', ARGV[1])";
      return `${key} ${(await this.#redis.list(script, key)).join(' ')}`;
    });
    return (await Promise.all(texts)).join('\n');
  }
}

/** What a queue has whether there are jobs or not. */
function isLasting(key) {
  return /:(meta|events|control|id|pc|marker|stalled-check|completed|failed|hosts|metrics:.*)$/.test(
    key,
  );
}

async function until(what, isSo, state) {
  const end = performance.now() + patienceMs;
  while (!(await isSo())) {
    if (performance.now() > end) {
      throw new Error(`Waited for ${what}\n${await state()}`);
    }
    await sleep(20);
  }
}

async function inTime(what, promise, state) {
  let isSettled = false;
  const settled = promise.finally(() => (isSettled = true));
  await Promise.race([settled, until(what, () => isSettled, state)]);
  return settled;
}

// One round of the chaos: Redis, hosts and submitters, what disturbs them, then the
// invariants.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ClusterExecutor } from 'jobserver/bullmq';
import { Redis } from '../../../scripts/redis.mjs';
import { kill, processes } from '../chaos/processes.mjs';
import { meet } from './jobs.mjs';
import { describeKeysLeft, keysLeft } from './keys.mjs';
import { Load } from './load.mjs';
import { Host, Submitter } from './members.mjs';
import { root, slotsOfHost } from './settings.mjs';
import { storeIn } from './store.mjs';
import { inTime, until } from './waiting.mjs';

const hostCount = 3;
const mostCalmMs = 1500;
// A submitter is taken for dead after three leases at most.
const mostPauseLeases = 4;
// All jobs would have met long before; see `meet`.
const lateMs = 10_000;

export class Round {
  /** How often each trouble was made. */
  troubles = {};
  #random;
  #kind;
  #terms;
  #folder;
  #starts;
  #redis;
  #hosts = [];
  #submitters = [];
  #names = 0;
  #killed = new Set();
  #executor;
  #load;
  #isOver = false;

  /** @param terms see `drawTerms`. */
  constructor({ random, kind, terms, folder }) {
    this.#random = random;
    this.#kind = kind;
    this.#terms = terms;
    this.#folder = folder;
    this.#starts = join(folder, 'starts');
    writeFileSync(this.#starts, '');
  }

  /** Resolves with what has happened, in numbers. */
  async run() {
    this.#redis = await Redis.start({ isDurable: !this.#kind.losesData });
    try {
      for (let i = 0; i < hostCount; i++) await this.#addHost();
      if (this.#kind.troubles.some(isOfSubmitters)) await this.#addSubmitter();
      this.#open();
      await this.#until('hosts', () => this.#areReady());
      const load = this.#load.run(10, () => this.#isOver);
      load.catch(() => undefined);
      await this.#inTime(
        'the load',
        this.#disturb().then(() => load),
      );
      await this.#inTime('all calls to end', this.#load.end());
      const others = await this.#endSubmitters();
      this.#checkStarts();
      this.#checkLosses();
      await this.#checkSlots();
      await this.#close();
      await this.#checkLeft();
      return { ...this.troubles, ...this.#load.outcomes, ...others };
    } finally {
      await this.#redis.stop();
    }
  }

  #open() {
    const { leaseMs, retries, key, store, nests } = this.#terms;
    this.#executor = new ClusterExecutor({
      connection: this.#redis.url,
      root,
      ...{ leaseMs, retries, key, store: storeIn(store) },
    });
    this.#load = new Load({
      executor: this.#executor,
      random: this.#random,
      starts: this.#starts,
      name: 'main',
      nests,
    });
  }

  async #addHost() {
    const name = `host${++this.#names}`;
    const host = await Host.start(this.#redis.port, name, this.#terms);
    this.#hosts.push(host);
  }

  async #addSubmitter() {
    const name = `submitter${++this.#names}`;
    const own = { starts: this.#starts, seed: this.#random.below(1e6) };
    this.#submitters.push(
      await Submitter.start(this.#redis.port, name, this.#terms, own),
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
    this.#isOver = true;
  }

  /** @param name a verb and its victim. */
  async #trouble(name) {
    const [verb, what] = name.split(' ');
    const victim = this.#victim(what);
    // Below and above the lease.
    const pauseMs = this.#random.below(mostPauseLeases * this.#terms.leaseMs);
    if (verb === 'freeze') {
      victim?.signal('SIGSTOP');
      await sleep(pauseMs);
      victim?.signal('SIGCONT');
    } else if (verb === 'cut') {
      victim.silence();
      await sleep(pauseMs);
      victim.heal();
    } else if (verb === 'kill') {
      await victim?.kill();
      await this.#replace(what, victim, pauseMs);
    } else {
      throw new Error(`unknown trouble ${name}`);
    }
  }

  /** Undefined where there is none in this moment. */
  #victim(what) {
    if (what === 'redis') return this.#redis;
    if (what === 'host') return this.#random.pick(this.#hosts);
    if (what === 'submitter') return this.#random.pick(this.#submitters);
    const title = { job: 'jobserver-worker', zygote: 'jobserver-zygote' }[what];
    const found = processes().filter((each) => each.title.startsWith(title));
    if (found.length === 0) return undefined;
    const { pid } = this.#random.pick(found);
    return { kill: () => kill(pid), signal: (signal) => kill(pid, signal) };
  }

  /** After it was killed. */
  async #replace(what, victim, pauseMs) {
    if (what === 'host') {
      this.#killed.add(victim.name);
      this.#hosts.splice(this.#hosts.indexOf(victim), 1);
      await this.#addHost();
    } else if (what === 'submitter') {
      this.#submitters.splice(this.#submitters.indexOf(victim), 1);
      await this.#addSubmitter();
    } else if (what === 'redis') {
      await sleep(pauseMs / 4);
      await this.#redis.restart();
    }
  }

  /** Resolves with what became of the calls of those that live, in numbers. */
  async #endSubmitters() {
    const ends = Promise.all(this.#submitters.map((each) => each.end()));
    const all = await this.#inTime('submitters', ends);
    const counts = all.flatMap((outcomes) => Object.entries(outcomes));
    return Object.fromEntries(
      counts.map(([outcome, count]) => [`${outcome} of others`, count]),
    );
  }

  #state() {
    const titles = processes().map(({ pid, title }) => `${pid} ${title}`);
    return [this.#load.state(), ...titles].join('\n');
  }

  #until(what, isSo) {
    return until(what, isSo, () => this.#state());
  }

  #inTime(what, promise) {
    return inTime(what, promise, () => this.#state());
  }

  #checkStarts() {
    const counts = new Map();
    for (const id of readFileSync(this.#starts, 'utf8').split('\n')) {
      if (id !== '') counts.set(id, (counts.get(id) ?? 0) + 1);
    }
    for (const [id, count] of counts) {
      // A nested call is made once for each start of the job around it, and has no
      // retries of its own.
      const isNested = /\.[a-c]$/.test(id);
      const most = isNested
        ? counts.get(id.slice(0, -2))
        : 1 + this.#terms.retries;
      assert.ok(count <= most, `${id} was started ${count} times`);
    }
  }

  /** Where nothing else is done, exactly those who were killed have lost calls. */
  #checkLosses() {
    if (this.#kind.troubles.some((name) => name !== 'kill host')) return;
    const others = this.#load.lostBy.filter((name) => !this.#killed.has(name));
    assert.deepEqual(others, [], 'calls were lost by hosts that live');
  }

  /** As many jobs as there are slots run at once. */
  async #checkSlots() {
    const folder = join(this.#folder, 'meeting');
    mkdirSync(folder);
    const count = hostCount * slotsOfHost;
    // A host that has no time for its lease loses a job, and no slot.
    const executor = this.#executor.with({ retries: 3 });
    const met = Array.from({ length: count }, (_, i) =>
      executor.submit(meet, folder, String(i), count),
    );
    // Jobs that do not meet give up one after the other, so the state afterwards would
    // not show what has held a slot.
    let state = '';
    const timer = setTimeout(() => (state = this.#state()), lateMs);
    const all = await this.#inTime('all slots', Promise.all(met));
    clearTimeout(timer);
    const missing = count - Math.min(...all);
    assert.equal(missing, 0, `${missing} slots are missing\n${state}`);
  }

  async #close() {
    const ends = this.#hosts.map((host) => host.end());
    await this.#inTime('hosts', Promise.all(ends));
    await this.#inTime('the executor', this.#executor.shutdown());
  }

  async #checkLeft() {
    await this.#until('processes to end', () => processes().length === 0);
    const isDisturbed = this.#kind.troubles.some((name) =>
      name.endsWith(' redis'),
    );
    const count = (await keysLeft(this.#redis)).length;
    const isLooking = isDisturbed && count > 0;
    if (isLooking) {
      // The server has given a job to a host that has not heard of it, and nobody looks
      // for such jobs now. The next host does.
      this.troubles['keys left'] = count;
      await this.#addHost();
    }
    await until(
      'keys to be removed',
      async () => (await keysLeft(this.#redis)).length === 0,
      () => describeKeysLeft(this.#redis),
    );
    if (isLooking) await this.#hosts.at(-1).end();
  }
}

function isOfSubmitters(trouble) {
  return trouble.endsWith(' submitter');
}

// One round of the chaos: a load and its killers under one set of slots, then
// the invariants.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { checkLosses } from './ledger.mjs';
import { Load, openAll } from './load.mjs';
import { filesOf, kill, processes, zombies } from './processes.mjs';
import { Slots } from './slots.mjs';

const program = fileURLToPath(new URL('submitter.mjs', import.meta.url));
const names = {
  worker: /^jobserver-worker/,
  zygote: /^jobserver-zygote/,
  submitter: /^chaos-submitter/,
};
// Time between two kills.
const mostCalmMs = 500;
// A round that hangs fails after this time.
const patienceMs = 60_000;

async function until(what, isTrue) {
  const end = performance.now() + patienceMs;
  while (!isTrue()) {
    if (performance.now() > end) throw new Error(`Waited for ${what()}`);
    await sleep(20);
  }
}

async function inTime(what, promise) {
  let isSettled = false;
  const settled = promise.finally(() => (isSettled = true));
  await Promise.race([settled, until(what, () => isSettled)]);
}

/** Runs a program until it has closed its output. */
async function run(file, args, options) {
  const child = spawn(file, args, {
    ...options,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const texts = [child.stdout, child.stderr].map(text);
  const [code, signal] = await once(child, 'exit');
  const [stdout, stderr] = await Promise.all(texts);
  return { code, signal, stdout, stderr };
}

export class Round {
  /** How many of each kind were killed. */
  kills = { worker: 0, zygote: 0, submitter: 0 };
  #random;
  #folder;
  #kind;
  #seed;
  #isOver = false;
  #load;
  /** See `Load`. */
  #lossesOfSubmitters = [];
  /** What workers that were killed had open or mapped. */
  #killedFiles = new Set();
  /** How many slots are lost. */
  #slots;

  /**
   * `kind`: victims, submitters, ms, width, canNest, isGentle for the load of the
   * submitters, and isUnderMake: a real make starts the submitters. `losesAny`: submitters
   * are killed whose jobs have submitted jobs, and nobody knows how many slots are lost.
   */
  constructor({ random, folder, seed, kind }) {
    this.#random = random;
    this.#folder = folder;
    this.#seed = seed;
    this.#kind = kind;
  }

  /** Returns what has happened; throws if an invariant does not hold. */
  async run() {
    const { canNest, ms, width } = this.#kind;
    const slots = new Slots(join(this.#folder, 'slots'), 3);
    process.env.MAKEFLAGS = slots.makeflags;
    writeFileSync(this.#log, '');
    mkdirSync(this.#ledgers);
    const random = this.#random;
    this.#load = new Load({ random, log: this.#log, name: 'own', canNest });
    const { all, close } = openAll();
    const work = Promise.all([
      this.#load.run(all, width, () => this.#isOver),
      this.#killSome(),
      ...(this.#kind.isUnderMake ? [this.#make()] : this.#submitters()),
    ]);
    // Handled by `inTime`, once the time is over.
    work.catch(() => undefined);
    await Promise.race([work, sleep(ms)]);
    this.#isOver = true;
    await inTime(() => `calls: ${this.#openCalls()}`, work);
    await inTime(() => 'the handles to close', close());
    await this.#untilEnded();
    this.#checkSlots(slots);
    slots.close();
    this.#checkJobs();
    const { kills } = this;
    return { slots: this.#slots, kills, counts: this.#load.counts };
  }

  get #log() {
    return join(this.#folder, 'log');
  }

  get #ledgers() {
    return join(this.#folder, 'ledgers');
  }

  #openCalls() {
    const calls = [...this.#load.open.values()];
    const lines = calls.map(({ id, name }) => `${id} (${name})`);
    return [...lines, ...this.#processLines()].join('\n');
  }

  #processLines() {
    return processes().map(({ pid, title }) => `${pid} ${title}`);
  }

  async #killSome() {
    const { victims } = this.#kind;
    if (victims.length === 0) return;
    while (!this.#isOver) {
      await sleep(this.#random.below(mostCalmMs));
      const kind = this.#random.pick(victims);
      const all = processes().filter(({ title }) => names[kind].test(title));
      if (all.length === 0) continue;
      const { pid } = this.#random.pick(all);
      // A submitter maps the pages of its workers as well.
      const files = kind === 'worker' ? filesOf(pid) : [];
      if (!kill(pid)) continue;
      this.kills[kind] += 1;
      for (const path of files) this.#killedFiles.add(path);
    }
  }

  #submitters() {
    return Array.from({ length: this.#kind.submitters }, async (_, i) => {
      for (let n = 0; !this.#isOver; n++) await this.#submit(`s${i}n${n}.`);
    });
  }

  async #submit(name) {
    const [file, ...args] = this.#submitterNamed(name);
    const { code, signal, stdout, stderr } = await run(file, args);
    if (signal === 'SIGKILL') return;
    assert.equal(code, 0, `a submitter failed (${code}, ${signal}): ${stderr}`);
    this.#noteLosses(stdout);
  }

  #submitterNamed(name) {
    const { canNest, isGentle, ms } = this.#kind;
    const length = Math.ceil(ms * (0.2 + 0.5 * this.#random.next()));
    const paths = [program, this.#log, this.#ledgers];
    const options = JSON.stringify({ canNest, isGentle });
    const args = [...paths, name, this.#seed, length, options];
    return [process.execPath, ...args].map(String);
  }

  /** At its end, make counts the tokens itself. */
  async #make() {
    const names = Array.from({ length: 3 }, (_, i) => `m${i}.`);
    // The pipe ends after the last worker of a submitter that was killed.
    const rules = names.map((name) => {
      const words = this.#submitterNamed(name).map((word) => `'${word}'`);
      return `${name}:\n\t+@${words.join(' ')} | cat\n`;
    });
    const shell = 'SHELL := bash\n.SHELLFLAGS := -o pipefail -c\n';
    const makefile = join(this.#folder, 'makefile');
    const all = `all: ${names.join(' ')}\n`;
    writeFileSync(makefile, shell + all + rules.join(''));
    const env = { ...process.env, MAKEFLAGS: '' };
    const args = ['-k', '-j3', '-f', makefile];
    const { code, stdout, stderr } = await run('make', args, { env });
    const found =
      /Exiting with (\d+) jobserver tokens available; should be (\d+)/;
    const [, left, count] = found.exec(stderr)?.map(Number) ?? [0, 0, 0];
    assert.ok(left <= count, `make has too many tokens: ${stderr}`);
    this.#slots = this.#checkLosses(Array(count - left).fill('+'));
    const mayFail = this.kills.submitter > 0;
    assert.ok(code === 0 || mayFail, `make failed (${code}): ${stderr}`);
    this.#noteLosses(stdout);
  }

  #noteLosses(text) {
    this.#lossesOfSubmitters.push(...text.split('\n').filter(Boolean));
  }

  async #untilEnded() {
    const left = () => [...this.#processLines(), ...zombies()];
    await until(
      () => `the end of processes:\n${left().join('\n')}`,
      () => left().length === 0,
    );
  }

  #checkSlots(slots) {
    const left = slots.take();
    const extra = left.filter((token, i) => left.indexOf(token) !== i);
    assert.deepEqual(extra, [], 'tokens were given back twice');
    const lost = slots.tokens.filter((token) => !left.includes(token));
    const { isUnderMake = false, losesAny = false } = this.#kind;
    // No process is killed that has taken any of these.
    if (isUnderMake) assert.deepEqual(lost, [], 'tokens are lost');
    else if (losesAny) this.#slots = { any: lost.length };
    else this.#slots = this.#checkLosses(lost);
  }

  #checkLosses(tokens) {
    const isKilled = (path) => this.#killedFiles.has(path);
    return checkLosses(this.#ledgers, tokens, isKilled);
  }

  #checkJobs() {
    const begun = new Map();
    for (const line of readFileSync(this.#log, 'latin1').split('\n')) {
      const [id] = line.split(' ');
      if (id !== '') begun.set(id, (begun.get(id) ?? 0) + 1);
    }
    const twice = [...begun].filter(([, count]) => count > 1);
    assert.deepEqual(twice, [], 'jobs began more than once');
    const { neverBegan, returned } = this.#load;
    const late = [...neverBegan].filter((id) => begun.has(id));
    assert.deepEqual(late, [], 'jobs began although their submit failed');
    const absent = [...returned].filter((id) => !begun.has(id));
    assert.deepEqual(absent, [], 'jobs returned that never began');
    const { worker, zygote, submitter } = this.kills;
    const losses = [...this.#load.losses, ...this.#lossesOfSubmitters];
    const most = worker + zygote + submitter;
    const what = `${losses.length} jobs are lost by ${most} kills`;
    assert.ok(losses.length <= most, [what, ...losses].join('\n'));
  }
}

// What `preload: 'auto'` does: the modules that jobs have used are loaded in another
// zygote, which serves in the place of the one without them as soon as it can fork.
import { hashOf } from '../functions/exports.js';
import type { FunctionRef } from '../functions/function-ref.js';
import { versionOf } from '../functions/sources.js';
import type { Order } from '../protocol/order.js';
import type { Preload } from '../protocol/preparation.js';
import { workerState } from '../protocol/worker-state.js';
import { selector } from '../system/selector.js';
import { trace } from '../system/trace.js';
import type { Zygote } from './zygote.js';
import {
  type ZygoteKeys,
  type ZygoteOrder,
  open,
  withoutCall,
  zygoteFor,
} from './zygote-client.js';

// Each zygote waits three times as long for more modules as the one before, so that
// there are few. The first waits 20 ms, the tenth, which is the last, 7 minutes.
const firstWaitMs = 20;
const growth = 3;
const mostZygotes = 10;

type LearnerOrder = ZygoteOrder & Pick<Order, 'functions'>;

/** By the keys of the zygotes without such modules. */
const learners = new Map<string, Learner>();

/** The zygote that serves an order at present. */
export function learnedZygoteFor(
  order: LearnerOrder,
  keys: ZygoteKeys,
): Zygote {
  const { preload, warmUp } = order.preparation;
  // A warm-up does what jobs do, so it loads what they load. A job does not live
  // long enough for a zygote of its own to pay.
  if (warmUp !== undefined || workerState.isWorker) {
    return zygoteFor(order, keys);
  }
  let learner = learners.get(keys.cold);
  if (learner === undefined) {
    learner = new Learner(preload, keys);
    learners.set(keys.cold, learner);
  }
  return learner.zygoteFor(order);
}

class Learner {
  readonly #preload: Preload;
  readonly #keys: ZygoteKeys;
  /** All URLs that were looked at. */
  readonly #known: Set<string>;
  /** Those that a zygote has loaded. */
  #loaded: readonly string[] = [];
  /** Those that no zygote has tried to load. */
  #fresh: string[] = [];
  /** How many of `#fresh` the next zygote loads. */
  #most = Infinity;
  #serving: Zygote | undefined;
  /** The modules that `#serving` has loaded. */
  #learned: readonly string[] = [];
  /** Another zygote is going to be started, or not ready yet. */
  #isGrowing = false;
  /** How many zygotes were started to load new modules. */
  #zygotes = 0;

  constructor(preload: Preload, keys: ZygoteKeys) {
    this.#preload = preload;
    this.#keys = keys;
    this.#known = new Set(preload.urls);
  }

  zygoteFor(order: LearnerOrder): Zygote {
    if (this.#zygotes < mostZygotes) order.functions?.forEach(this.#note);
    const zygote = this.#present(order) ?? zygoteFor(order, this.#keys);
    const isWhole = zygote === this.#serving && this.#fresh.length === 0;
    const isEmpty = this.#loaded.length + this.#fresh.length === 0;
    if (!isWhole && !isEmpty && !this.#isGrowing) this.#grow(zygote, order);
    return zygote;
  }

  /** Undefined where there is none, or where one of its files has changed. */
  #present(order: ZygoteOrder): Zygote | undefined {
    const zygote = this.#serving;
    if (zygote?.isReady !== true) return undefined;
    if (zygote.version !== versionOf(this.#learned)) return undefined;
    zygote.serve(order);
    return zygote;
  }

  readonly #note = (fn: FunctionRef): void => {
    // A built-in module takes no time to load, and without a file, no change is seen.
    if (!('url' in fn) || !fn.url.startsWith('file:')) return;
    if (this.#known.has(fn.url)) return;
    this.#known.add(fn.url);
    this.#fresh.push(fn.url);
  };

  #grow(present: Zygote, order: ZygoteOrder): void {
    this.#isGrowing = true;
    const start = withoutCall(order);
    const isNew = this.#fresh.length > 0;
    const wait = isNew ? firstWaitMs * growth ** this.#zygotes : firstWaitMs;
    selector.alarm(wait, () => {
      present.whenKnown(() => {
        const isClosed = start.slotPipes[0]!.reader < 0;
        this.#isGrowing = false;
        // A job that comes later tries again.
        if (isClosed || !present.isReady) return;
        try {
          this.#start(start);
        } catch (error) {
          trace('no zygote with the modules of jobs: %o', error);
        }
      });
    });
  }

  #start(order: ZygoteOrder): void {
    const fresh = this.#fresh.slice(0, this.#most);
    const learned = [...this.#preload.urls, ...this.#loaded, ...fresh];
    const key = `${this.#keys.cold} ${hashOf(learned.join('\n'))}`;
    const preload = { ...this.#preload, learned };
    const zygote = open(order, key, { preload, warmUp: undefined });
    this.#isGrowing = true;
    this.#fresh = this.#fresh.slice(this.#most);
    zygote.whenKnown(() => {
      this.#isGrowing = false;
      const isLetGo = !zygote.isReady && zygote.failure === undefined;
      if (!isLetGo && fresh.length > 0) this.#zygotes += 1;
      if (isLetGo) this.#fresh.unshift(...fresh);
      else if (zygote.isReady) this.#replace(zygote, learned);
      else this.#refuse(zygote, learned, fresh);
    });
  }

  #replace(zygote: Zygote, learned: readonly string[]): void {
    const before = this.#serving;
    this.#serving = zygote;
    this.#most = Infinity;
    this.#learned = learned;
    this.#loaded = learned.slice(this.#preload.urls.length);
    if (before !== zygote) before?.release();
  }

  #refuse(
    { culprit, failure }: Zygote,
    learned: readonly string[],
    fresh: readonly string[],
  ): void {
    const suspects = fresh.length > 0 ? fresh : this.#loaded;
    const refused = culprit < 0 ? suspects : [learned[culprit]!];
    const isKept = (url: string): boolean => !refused.includes(url);
    if (culprit < 0 && suspects.length > 1) {
      // It has crashed, and has not said which module is to blame.
      this.#most = Math.ceil(suspects.length / 2);
      this.#loaded = this.#loaded.filter(isKept);
      this.#fresh.unshift(...suspects);
    } else {
      const [reason] = failure!.message.split('\n', 1);
      trace('%s is not preloaded: %s', refused[0], reason);
      this.#most = Infinity;
      this.#loaded = this.#loaded.filter(isKept);
      this.#fresh.unshift(...fresh.filter(isKept));
    }
    if (this.#zygotes === mostZygotes) this.#fresh = [];
  }
}

// The functions that the calls of one worker name. Most calls name those of the
// call before, which are found without a search.
import { followFunctions, followModules } from '../functions/sources.js';
import { type Head, unpackHead } from '../protocol/order.js';
import { type Functions, type WorkerOrder, load } from './run.js';
import { setKillGrace, setMemoryLimit } from './worker.js';

/** The functions of a head. */
export interface Loaded extends Functions {
  readonly head: Head;
}

// Of as many heads, the functions are kept.
const mostLoaded = 64;

type Preparing = Pick<WorkerOrder, 'preload' | 'prepare'>;

export class KnownFunctions {
  readonly #preload: Preparing['preload'];
  /** Until it is done. */
  #prepare: Preparing['prepare'];
  /** By the heads. */
  readonly #known = new Map<string, Loaded>();
  /** The head that was received last. */
  #bytes: Buffer = Buffer.alloc(0);
  #head: Head | undefined;
  #current: Loaded | undefined;

  constructor({ preload, prepare }: Preparing) {
    this.#preload = preload;
    this.#prepare = prepare;
  }

  /** False until the first are loaded, and then where no job could run. */
  get isPrepared(): boolean {
    return this.#prepare === undefined;
  }

  /** Those of the last head; undefined while they are not loaded. */
  get current(): Loaded | undefined {
    return this.#current;
  }

  /** The last head. */
  get head(): Head | undefined {
    return this.#head;
  }

  /** A head was received. */
  select(head: Buffer): void {
    this.#bytes = head;
    this.#current = this.#known.get(head.toString('latin1'));
    this.#head = this.#current?.head ?? unpackHead(head);
    // Before the arguments are received.
    setMemoryLimit(this.#head);
    setKillGrace(this.#head);
  }

  async load(): Promise<Loaded> {
    const head = this.#head!;
    followModules(this.#preload.urls);
    await this.#prepare?.();
    this.#prepare = undefined;
    followFunctions([head.fn, head.preexec, ...head.imports]);
    const loaded = { ...(await load(head)), head };
    this.#current = loaded;
    if (this.#known.size === mostLoaded) this.#known.clear();
    this.#known.set(this.#bytes.toString('latin1'), loaded);
    return loaded;
  }
}

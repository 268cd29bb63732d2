// What this process has of memory that processes share, and how much it may have.
import { invalidArgument, outOfRange } from '../errors.js';
import { native } from '../system/binding.js';
import { pooledBytes, pooledCount } from './segment-pool.js';

/**
 * How much of something there is.
 *
 * @example See {@link sharedMemory}.
 */
export interface MemoryUse {
  /** Bytes, in whole pages. */
  readonly bytes: number;
  /** Pieces of memory, each of which may have several buffers. */
  readonly count: number;
}

/** See {@link sharedMemory}. */
export interface SharedMemory {
  /**
   * Bytes that this process may have mapped of `received` and `allocated` memory
   * together, and bytes of `pooled` memory: 0 or more, or Infinity. Default 256
   * MiB. Beyond it, and beyond 1,024 mappings, buffers are copied, and
   * {@link allocate} returns ordinary ones. 0: all are copied. It applies to what comes;
   * nothing that is mapped is taken away. A job has the limit that its submitter has
   * when it submits it, and so have the jobs of that job.
   *
   * Setting it throws a TypeError with code ERR_INVALID_ARG_TYPE or a RangeError
   * with code ERR_OUT_OF_RANGE for anything else.
   */
  limit: number;
  /**
   * Mapped with buffers that were received, until they have been collected; and for
   * the next buffers of processes that run several jobs.
   */
  readonly received: MemoryUse;
  /** Mapped by {@link allocate}, until its buffers are moved or collected. */
  readonly allocated: MemoryUse;
  /** Mapped by {@link share}, and by receiving what it returns; without limit. */
  readonly shared: MemoryUse;
  /**
   * What this thread keeps for the next buffers that it sends to processes of
   * several jobs, or as one. Their receivers may use it.
   */
  readonly pooled: MemoryUse;
}

/**
 * What this process has of the memory in which large buffers travel, and how much
 * it may have. All threads of the process count together, except for `pooled`.
 *
 * @example
 * ```js
 * import { sharedMemory } from 'jobserver';
 *
 * sharedMemory.limit = 1 << 30;
 * console.log(sharedMemory.received); // { bytes: 0, count: 0 }
 * ```
 */
export const sharedMemory: SharedMemory = Object.freeze({
  get limit(): number {
    return native.segmentLimit();
  },
  set limit(bytes: number) {
    if (typeof bytes !== 'number') {
      throw invalidArgument('limit', 'a number of bytes', bytes);
    }
    if (!(bytes >= 0)) throw outOfRange('limit', 'non-negative', bytes);
    native.limitSegments(bytes);
  },
  get received(): MemoryUse {
    return mapped(0);
  },
  get allocated(): MemoryUse {
    return mapped(1);
  },
  get shared(): MemoryUse {
    return mapped(2);
  },
  get pooled(): MemoryUse {
    return { bytes: pooledBytes, count: pooledCount };
  },
});

/** For JSON, which has no Infinity. */
export function memoryLimit(): number | null {
  const { limit } = sharedMemory;
  return limit === Infinity ? null : limit;
}

/** `use`: an index in what `mappedSegments` fills. */
function mapped(use: number): MemoryUse {
  const numbers = new Float64Array(6);
  native.mappedSegments(numbers);
  return { bytes: numbers[2 * use + 1]!, count: numbers[2 * use]! };
}

// The verbs of the addon for segments, which are anonymous files that processes map
// to share their memory; see lib/memory/.

/** A file in memory. It is held until `unmapSegment`, or its collection. */
export interface Mapping {
  readonly __mapping: never;
}

export const mappingFlags = {
  readOnly: 1,
  /** Forks of this process share it as well. */
  shared: 2,
  /**
   * The first word of the file becomes 0 when the last buffer has been collected:
   * then the owner of the file may use it again.
   */
  borrowed: 4,
  allocated: 8,
  /** No memory of users. */
  uncounted: 16,
} as const;

export interface SegmentVerbs {
  /**
   * An anonymous file of `size` zeros, for `mapSegment`. On Linux it is sealed:
   * no process can change its size.
   */
  segmentFile(size: number): number;
  /**
   * Fills [inode, size, device] of a segment. Returns 1 where its size is sealed,
   * and 0 where the kernel has no seals (macOS), so that its owner could make it
   * shorter. -EBADMSG for any other file, of which a read may wait.
   */
  inspectSegment(fd: number, numbers: Float64Array): number;
  /**
   * No process can write to the segment from now on, unless it has mapped it, where
   * the kernel can do that.
   */
  makeConstant(fd: number): number;
  /**
   * Maps the first `size` bytes: all who do so share them. `flags`: of
   * `mappingFlags`. -errno when the kernel refuses; -ENOBUFS when this
   * process would have more than 1,024 mappings, or `segmentLimit` bytes, that are
   * not `shared`; -ENOMEM with more than 32,768 that are.
   */
  mapSegment(fd: number, size: number, flags: number): Mapping | number;
  /**
   * An ArrayBuffer over a part of a mapping that is held. -ENOTSUP where Node has
   * no such buffers.
   */
  viewSegment(
    mapping: Mapping,
    offset: number,
    length: number,
  ): ArrayBuffer | number;
  /** Ends the hold: it is unmapped when its last buffer has been collected. */
  unmapSegment(mapping: Mapping): number;
  /** How many of its buffers have not been collected. */
  viewsOfSegment(mapping: Mapping): number;
  /**
   * Fills [count, bytes, count, bytes, count, bytes] of what is mapped in this
   * process, with all of its threads: what was received, is `allocated`, `shared`.
   */
  mappedSegments(numbers: Float64Array): number;
  /** Sets the limit of this process, in bytes. */
  limitSegments(bytes: number): number;
  segmentLimit(): number;
  /**
   * Before a fork: gives each buffer, in place, memory that belongs to this
   * process alone, except in mappings that are `shared` or `readOnly`.
   */
  makeSegmentsPrivate(): number;
  /**
   * Waits until `wakeWord` is called for an element that has this value. -EAGAIN
   * when it has another one, -ETIMEDOUT after timeoutMs; below 0: no limit.
   */
  waitWord(
    words: Int32Array,
    index: number,
    value: number,
    timeoutMs: number,
  ): number;
  /** Returns how many were woken, at most `count`. */
  wakeWord(words: Int32Array, index: number, count: number): number;
  /** Detaches an ArrayBuffer; -EINVAL when it cannot be detached. */
  detachBuffer(buffer: ArrayBuffer): number;
}

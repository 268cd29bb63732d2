// The segments that this process has mapped. It may map so many of them: V8 ends
// the process when the kernel has no mapping left, and memory that was mapped is
// free only once the event loop has run. Whoever gets no mapping copies.
import { errno, native } from '../system/binding.js';
import type { Mapping } from '../system/segment-verbs.js';

/** A mapping that is kept although no buffer may use it. */
export interface Kept {
  readonly mapping: Mapping;
  forget(): void;
}

// Each look is a call of the addon, and there may be a thousand mappings.
const mostLooks = 16;

/** The one that was used, or looked at, last is at the end. */
const kept = new Set<Kept>();

export function keepMapping(each: Kept): void {
  kept.delete(each);
  kept.add(each);
}

/** Unmaps it, once no buffer uses it. */
export function endMapping(each: Kept): void {
  kept.delete(each);
  native.unmapSegment(each.mapping);
}

/**
 * Before a fork: buffers that are made private no longer show what their senders
 * write, so what these send later is mapped anew.
 */
export function forgetMappings(): void {
  for (const each of kept) each.forget();
}

/**
 * As `native.mapSegment`. Where there is no room, it unmaps what no buffer uses
 * first. -ENOBUFS when that is not enough.
 */
export function mapSegment(
  fd: number,
  size: number,
  flags: number,
): Mapping | number {
  const mapping = native.mapSegment(fd, size, flags);
  if (mapping !== -errno.ENOBUFS || size > native.segmentLimit()) {
    return mapping;
  }
  let looks = 0;
  for (const each of kept) {
    if (native.viewsOfSegment(each.mapping) > 0) {
      if (++looks === mostLooks) break;
      keepMapping(each);
      continue;
    }
    each.forget();
    const second = native.mapSegment(fd, size, flags);
    if (second !== -errno.ENOBUFS) return second;
  }
  return mapping;
}

/**
 * Maps a file for one buffer, and for as long as this exists. Returns a negative
 * errno when that is not possible.
 */
export function mapBuffer(
  fd: number,
  size: number,
  flags: number,
  { offset, length }: { readonly offset: number; readonly length: number },
): ArrayBuffer | number {
  const mapping = mapSegment(fd, size, flags);
  if (typeof mapping === 'number') return mapping;
  const buffer = native.viewSegment(mapping, offset, length);
  native.unmapSegment(mapping);
  return buffer;
}

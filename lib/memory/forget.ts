// A fork of this process starts without the segments of its parent. Its copies of
// their descriptors are closed like all others that it does not use.
import { forgetMappings } from './arrivals.js';
import { forgetPools } from './segment-pool.js';

export function forgetSegments(): void {
  forgetMappings();
  forgetPools();
}

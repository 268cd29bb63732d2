// The options of node for a zygote, which its jobs do not pass on to processes of
// their own.
import type { Preparation } from './preparation.js';

// Only the forking thread lives on in a fork, so V8 must not need another one.
const flags = ['--single-threaded', '--v8-pool-size=1'];

// A full collection throws compiled code away, so V8 begins one later, in a warm
// zygote and in its jobs. In MiB.
const warmFlags = [...flags, '--initial-old-space-size=1024'];

export function zygoteFlags({ warmUp }: Preparation): readonly string[] {
  return warmUp === undefined ? flags : warmFlags;
}

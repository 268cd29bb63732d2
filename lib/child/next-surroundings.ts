// The directory and environment of the jobs of one worker. Most calls have those
// of the call before; only what has changed since is changed.
import { workingDirectory } from '../protocol/environment.js';
import {
  type PackedSurroundings,
  unpackEnv,
  unpackSurroundings,
} from '../protocol/surroundings.js';
import { native } from '../system/binding.js';
import { changeDirectory, changeEnvironment } from './after-fork.js';

export class NextSurroundings {
  #last: PackedSurroundings | undefined;
  /** See `native.environmentStamp`: when the last ones were entered. */
  #stamp = -1;

  /** Surroundings were received. */
  select(packed: Buffer): void {
    this.#last = unpackSurroundings(packed);
    this.#stamp = -1;
  }

  /** Follows the submitter, and undoes what an earlier job has changed. */
  enter(): void {
    const { cwd, submitter, env } = this.#last!;
    if (cwd !== workingDirectory()) changeDirectory(cwd, submitter);
    if (native.environmentStamp() === this.#stamp) return;
    changeEnvironment(new Map(Object.entries(process.env)), unpackEnv(env));
    this.#stamp = native.environmentStamp();
  }
}

// Closes the fds of a Jobserver that is collected without being closed.
import { native } from '../system/binding.js';
import { mainValue } from '../system/main-global.js';

export interface Closeable {
  close(): void;
}

interface Finalizer {
  /** Closes the pipe of a Jobserver that is collected without being closed. */
  readonly registry: FinalizationRegistry<Closeable[]>;
  /** Those of all open pipes. */
  readonly fds: Set<number>;
}

// It lies on the global object, because a registry that is collected together
// with its copy of this module calls nothing. Nor does one that is collected
// together with its vm context: then the main realm closes the fds.
const key = Symbol.for('jobserver.finalizer');
const globals = globalThis as typeof globalThis & { [key]?: Finalizer };
export const finalizer: Finalizer = (globals[key] ??= openFinalizer());

function openFinalizer(): Finalizer {
  const registry = new FinalizationRegistry(closeAll);
  const closeWith = mainValue<(owner: object, native: object) => Set<number>>(
    'jobserver.closeWith',
    `(() => {
      const registry = new FinalizationRegistry(({ fds, native }) => {
        for (const fd of fds) native.close(fd);
      });
      return (owner, native) => {
        const fds = new Set();
        registry.register(owner, { fds, native });
        return fds;
      };
    })()`,
  );
  return { registry, fds: closeWith(registry, native) };
}

/** Its `close` comes in the same turn as that of the fds. */
export function noteOpen(fds: readonly number[]): Closeable {
  for (const fd of fds) if (fd >= 0) finalizer.fds.add(fd);
  return {
    close: () => {
      for (const fd of fds) finalizer.fds.delete(fd);
    },
  };
}

export function closeAll(parts: Closeable[]): void {
  for (const part of parts.splice(0)) part.close();
}
